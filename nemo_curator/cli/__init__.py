"""The command `curator`. What a command does is in a module of its own, which is imported when the command runs."""
