"""The commands, a module for each kind of user. They parse, call and print; `flows.cli` puts them together."""
