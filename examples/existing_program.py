"""A LangChain program that existed before, with one line added.

Needs OPENAI_API_KEY, and heeds OPENAI_BASE_URL.
"""

import tc_core
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_openai import ChatOpenAI

tc_core.instrument("existing_program.db")  # the line

prompt = ChatPromptTemplate.from_messages([("system", "Answer in one sentence."), ("human", "{question}")])
chain = prompt | ChatOpenAI(model="gpt-4o-mini") | StrOutputParser()

for question in ("What is a token?", "Why are output tokens dearer than input tokens?"):
    with tc_core.labels(topic="tokens"):
        print(chain.invoke({"question": question}))

report = tc_core.CostTracker().get_costs("today", group_by=["topic"])
print(f"${report.total_cost_exact} for {report.total_calls} calls about {report.groups[0].key['topic']}")
