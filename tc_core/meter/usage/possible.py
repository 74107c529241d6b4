"""Which reports cannot be true, and what is kept of them."""

from tc_core.model.usage import Usage, is_count


def possible(usage: Usage, total: int | None, faults: list[str]) -> Usage:
    """Return a usage without what cannot be true, of which `faults` then says what it was.

    A prompt of no tokens is answered by nobody: it is not told. More reasoning than output is output that leaves it
    out, unless the total says that there was no more. A part that is more than its whole is not told.
    """
    for count in usage:
        if count is not None and not is_count(count):
            faults.append("more tokens than any call has")
            return Usage()
    read, written = usage.input_tokens, usage.output_tokens
    if not read and not written and (read, written) != (None, None):
        faults.append("no tokens at all")
        return Usage()
    if read == 0:
        faults.append("no input beside output")
        usage = Usage(
            None, written, reasoning_tokens=usage.reasoning_tokens, audio_output_tokens=usage.audio_output_tokens
        )
    reasoning = usage.reasoning_tokens or 0
    if written is not None and reasoning > written:
        faults.append("more reasoning than output")
        is_all = total is not None and total <= (read or 0) + written
        usage = usage._replace(**{"reasoning_tokens": None} if is_all else {"output_tokens": written + reasoning})
    return _without_big_parts(usage, faults)


def _without_big_parts(usage: Usage, faults: list[str]) -> Usage:
    read, written = usage.input_tokens, usage.output_tokens
    if not any(usage[2:]):
        return usage
    cached, wrote = usage.cached_tokens or 0, usage.cache_write_tokens or 0
    if read is not None and cached + wrote > read:
        faults.append("more cached than input")
        usage = usage._replace(cached_tokens=None, cache_write_tokens=None, cache_write_1h_tokens=None)
    elif (usage.cache_write_1h_tokens or 0) > wrote:
        faults.append("more kept for an hour than written to the cache")
        usage = usage._replace(cache_write_1h_tokens=None)
    for name, whole in (("audio_input_tokens", read), ("audio_output_tokens", written)):
        if whole is not None and (getattr(usage, name) or 0) > whole:
            faults.append("more audio than tokens")
            usage = usage._replace(**{name: None})
    return usage
