"""What a distilled set has learned: a module a study, each from sets and networks to a table."""
