"""The fields of an experiment: defaults, checks, the command line, and configs that runs saved."""
