"""NASICON sodium solid electrolytes, with numbers a scientist can trust.

The public names are listed in ``__init__.pyi``; each is imported when it is first used, so that
``import nasicon_struct`` costs next to nothing.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
