"""How the store is: what ``check`` and ``status`` say, in the same words and numbers."""
