"""The senses that come with nerve, as the package the entry points name.

Workers import it. In an installed nerve the senses lie in this very folder; in a
checkout they lie in the top-level `senses/`, where people read them, and this
package looks there.
"""

from pathlib import Path

_checkout = Path(__file__).parents[2]
if (_checkout / "pyproject.toml").is_file() and (_checkout / "senses").is_dir():
    __path__.append(str(_checkout / "senses"))
