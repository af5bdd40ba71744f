"""The subcommands of `plugrt`; each module adds its own parser."""
