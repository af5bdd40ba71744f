"""The subcommands of `plugrt-yolo`, a module each.

A command module offers NAME, HELP, `add_arguments(parser)` and `run(options)`; see
`command.Command`. It becomes part of the program by its line in `COMMANDS` of `cli.py`.
"""
