"""The command line: one file per command, each imported only when its arguments are known to be right."""
