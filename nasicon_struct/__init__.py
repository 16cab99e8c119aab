"""NASICON sodium solid electrolytes, with numbers a scientist can trust."""
