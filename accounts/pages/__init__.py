"""The pages about people: a module each. Views translate; members.py, tokens.py and their like decide."""
