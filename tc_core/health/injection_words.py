"""The words by which an instruction in a text is known. English only."""

import re

LONGEST = 400
"""Characters of a sentence that is judged."""

SENTENCE = re.compile(r"""(?<=[.!?])\s+(?=[\"'(]?[A-Z])|\s*\|\s*|\s{3,}""")
"""Where one sentence ends, and also one cell of a table."""

QUOTED = re.compile(r"""(?<!\w)(?:'[^']*'|\"[^\"]*\")(?!\w)|\b(?:do|would|can|should) you\b""")
"""Quotations, and questions to the reader, which speak of nobody in particular."""

FIRST = re.compile(r"[A-Za-z']*")

LEAD = re.compile(
    r"^[\W_]*(?:(?:please|now|also|then|next|first|finally|instead|always|never|just|and|so|but|kindly|"
    r"important:?|note:?|in (?:your|the) \w+,?|before \w+ing,?|when (?:you )?(?:respond|reply|"
    r"answer)ing,?)[\s,:]+)*",
    re.IGNORECASE,
)
"""Words before the one that commands."""

ANSWER = re.compile(
    r"\b(?:your|the|this|each|every|all|any)(?: \w+)? (?:response|reply|replies|responses|answers?|outputs?|"
    r"message|summary|completion|text you)\b(?!\s+(?:code|received|from|is|was|has))|\b(?:respond|reply|"
    r"answer)(?: only)? (?:in|with|using|as)\b",
    re.IGNORECASE,
)
"""What a model puts out."""

YOURS = re.compile(
    r"\byour (?:\w+ )?(?:response|reply|replies|responses|answers?|outputs?|completion)\b|\b(?:in|to|of|"
    r"on) your (?:message|text|summary)\b",
    re.IGNORECASE,
)
"""What a model puts out, addressed to it."""

LETTERS = re.compile(
    r"\b(?:letters?|vowels?|consonants?|words|typos?|spaces|spacing|punctuation|misspell\w*|anagram\w*|"
    r"alphanumeric|homophon\w*|symbols?|characters|syllables?|uppercase|lowercase|sentences?|spelling)\b",
    re.IGNORECASE,
)
"""Letters, words and spaces: what is asked to be done to an answer."""

QUESTION = re.compile(
    r"^(?:what(?:'s| is| are| was| were| does| do| did| causes?| makes?)|who(?:'s)? |how (?:do(?:es)?|did|is|"
    r"are|can|to|many|much|would)|why |when |where |which |is |are |does |did |can (?:i|one)\b)",
    re.IGNORECASE,
)

REQUEST = re.compile(
    r"^(?:can|could|would|will) you (?:please )?(?:show|explain|tell|give|help|write|describe|provide|list|"
    r"translate|create|teach|recommend|suggest|summari[sz]e|define|compare|solve|name|walk)\b|"
    r"^(?:i want you to|i need you to|you (?:must|should|will|need to) (?:now )?(?:respond|reply|answer|write|"
    r"say|output|ignore|act))\b",
    re.IGNORECASE,
)

PERSONAL = re.compile(r"\b(?:we|our|us|my|mine|your?s?|this|that|it|here|i'm|these|they)\b", re.IGNORECASE)
"""Who writes to a person speaks of these."""

OVERRIDE = re.compile(
    r"\b(?:ignore|disregard|forget|override|bypass)\b.{0,40}\b(?:previous|prior|above|earlier|all|any|other|"
    r"your|preceding)\b.{0,30}\b(?:instructions?|prompts?|rules?|messages?|directions?|guidelines?|context|"
    r"commands?)\b|\byou are now\b|\b(?:pretend|act) (?:to be|as if|as an?|like)\b|\bsystem prompt\b|"
    r"\bnew (?:instructions?|task)s?\s*:|\bdo(?: not|n't) (?:tell|inform|mention|reveal)\b.{0,40}\buser\b|"
    r"\bas an ai\b|<\|?\/?(?:im_start|system|inst)",
    re.IGNORECASE,
)

PROSE = re.compile(r"[A-Z][^{};]*[.?!]$")

CALLS = re.compile(
    r"\?|\b(?:your|ignore|disregard|forget|override|bypass|you|respond|reply|answer|response|pretend|act|"
    r"prompt|instructions?|tasks?|ai)\b|<",
    re.IGNORECASE,
)
"""Without any of these, and without a verb in front, nothing is commanded."""

CODE = re.compile(r"[{}();=<>\[\]`]|^\s*(?:#|//|>>>|\$|import |from |def |return )|\w\(|\w\.\w+\(|\w_\w|^\s{4}")

ASK = frozenset(
    """
    analyse analyze brainstorm break calculate classify compare compose compute contrast convert craft create define
    describe design develop discuss draft elaborate evaluate explain generate give guide help identify illustrate
    imagine interpret invent list outline paraphrase plan prepare produce propose prove provide recite recommend
    rewrite show simplify solve spell suggest summarise summarize teach tell translate write
    """.split()  # noqa: SIM905  # a list of words is read at a glance
)
"""Verbs that set a task."""

CHANGE = frozenset(
    """
    add adjust advertise alter anagram append apply augment begin capitalise capitalize change combine conclude
    convert delete direct embed emphasise emphasize encode encourage encrypt end enhance ensure express finish group
    highlight include incorporate insert integrate introduce invite jumble link lowercase make mention merge
    misspell mix modify offer omit point prepend promote provide put rearrange refer remove render repeat replace
    reverse scramble separate shuffle skip split start substitute swap transform uppercase urge use weave write
    """.split()  # noqa: SIM905  # a list of words is read at a glance
)
"""Verbs that have something done to an answer."""

STOP = frozenset(
    """
    a an and are as at be by can did do does for from how i in is it its me my not of on or that the this to was
    were what who with you your
    """.split()  # noqa: SIM905  # a list of words is read at a glance
)

WORDS = re.compile(r"[a-z]{3,}")

BEHIND_A_VALUE = re.compile(
    r"(?<=[\w.,;:)\]])\s+"
    r"(?=(?:Please|What|Who|How|Why|When|Where|Which|Can|Could|Would|Do|Is|Are|Ignore|You|Your|In your|"
    + "|".join(sorted(word.capitalize() for word in ASK | CHANGE))
    + r")\b)"
)
"""Where a command may begin in a string that holds a value, such as a name or a remark."""
