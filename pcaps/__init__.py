"""Reference captures: the recipes that build them and the rows that each must yield."""
