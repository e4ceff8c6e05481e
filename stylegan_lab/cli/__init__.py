"""The command line. Each command has a file of its own, which is imported only when that command runs."""
