"""The command line: arguments in, words out; the work is done by the library."""
