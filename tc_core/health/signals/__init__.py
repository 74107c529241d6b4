"""What is watched in a conversation, each signal kept up with at a constant cost for each message."""
