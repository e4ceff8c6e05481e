"""A mistake of the user's: which input, what is wrong, what would be right. Shown without a traceback."""


class Mistake(Exception):
    pass
