"""The classes that users create: thin faces over what lies below."""
