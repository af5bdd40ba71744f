"""Third-party twins of built-in plugrt layers."""
