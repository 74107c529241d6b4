"""Making a conversation shorter, to a hard target, without parting what belongs together."""
