"""How a conversation fares: what fills its context, whether it goes round in circles, and how to make it shorter."""
