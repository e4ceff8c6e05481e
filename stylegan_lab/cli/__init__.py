"""The command line. Each command has a file of its own, which is imported only after the command's arguments were parsed."""
