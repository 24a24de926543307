"""What is raised for a connection string that cannot be used."""


class InvalidDatabaseURL(ValueError):
    """A connection string that cannot be used.

    The message is put together from fixed words: it never repeats a piece of the string, because in a string with a
    fault nobody can tell where the password begins and ends.
    """
