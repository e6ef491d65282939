"""Where a model lies, refusing early a folder that holds none. Torch is not needed for this."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from experiments.models.conversion import check_packaged
from experiments.models.packaged import PACKAGED
from experiments.organism import RECIPE, SHIPPED
from experiments.organism.built import built_place, how_to_build, is_built
from safeguards.errors import SafeguardError, one_line
from safeguards.loading import OWN_CODE

# Of a file of safetensors, in bytes; the format allows no more.
LARGEST_HEAD = 100_000_000


def tensor_shapes(folder: str) -> dict[str, list[int]]:
    """The shape of every weight in a local model folder, from the heads of its files; nothing for a hub name."""
    shapes: dict[str, list[int]] = {}
    for path in sorted(Path(folder).glob("*.safetensors")):
        with path.open("rb") as file:
            size = int.from_bytes(file.read(8), "little")
            if not 0 < size <= LARGEST_HEAD:
                raise SafeguardError(f"{path}: is no file of safetensors")
            try:
                head = json.loads(file.read(size))
                shapes |= {name: entry["shape"] for name, entry in head.items() if name != "__metadata__"}
            except (ValueError, TypeError, KeyError) as error:
                raise SafeguardError(f"{path}: is no file of safetensors") from error
    return shapes


def resolve_path(path: str, home: tuple[int, str], key: str = "model.path") -> str:
    """The folder of a shipped organism for its name, of its unaligned base for "<name>/base", else `path`.

    In another world than the shipped one such a name stands for the organism that was built of it. A packaged model,
    such as "smollm2", has a folder that may have to be made yet (`convert_once`). `home` is the world that is spoken
    of, and `key` the setting that names the path.

    Raises:
        SafeguardError: if a local folder is missing, holds no model or one that runs only with code of its own, if the
            package of a packaged model is not there, or the organism of that world is not built.
    """
    if path in PACKAGED:
        return str(check_packaged(path, f"{key}={path}"))
    if (place := built_place(path, home)) is not None:
        if not is_built(home):
            raise SafeguardError(
                f"{key}={path}: the organism of world {home[0]} is not built yet, or damaged; a sweep with "
                f"model.world={home[0]} builds it, or {how_to_build(home)}"
            )
        return str(place)
    shipped = {f"{name}{base}": folder / base[1:] for name, folder in SHIPPED.items() for base in ("", "/base")}
    folder = shipped.get(path, Path(path).expanduser())
    looks_local = folder.is_absolute() or path.startswith((".", "~")) or folder.exists() or path.count("/") > 1
    if looks_local and not (folder / "config.json").is_file():
        raise SafeguardError(f"{key}={path}: no config.json there; give a Hugging Face model folder or hub name")
    if looks_local and not any(folder.glob("*.safetensors")):
        raise SafeguardError(f"{key}={path}: no weights there (*.safetensors); save the model as safetensors")
    if looks_local and brings_code(folder):
        raise SafeguardError(f"{key}={path}: {OWN_CODE}")
    recipe = folder / RECIPE
    if recipe.is_file() and (own := _home_of(recipe)) != home:
        raise SafeguardError(
            f"{key}={path}: is of world {own[0]} of organism {own[1]}, not of world {home[0]} of organism {home[1]}; "
            "choose it with model=organism or model=organism_one, and with model.world"
        )
    return str(folder) if looks_local or path in shipped else path


def brings_code(folder: Path) -> bool:
    """Whether a model is only what code of its own makes of it. A tokenizer that is so is refused when it is loaded."""
    described = read_config(folder)
    if "auto_map" not in described:
        return False
    from transformers import CONFIG_MAPPING

    return described.get("model_type") not in CONFIG_MAPPING


def read_config(folder: Path) -> dict[str, Any]:
    """What a model folder says of its model.

    Raises:
        SafeguardError: if that cannot be read.
    """
    try:
        return dict(json.loads((folder / "config.json").read_text("utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise SafeguardError(f"{folder / 'config.json'}: cannot be read ({one_line(error)})") from error


def _home_of(recipe: Path) -> tuple[int, str]:
    try:
        made = json.loads(recipe.read_text("utf-8"))
        return made["world"], made["organism"]
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise SafeguardError(f"{recipe}: cannot be read ({one_line(error)}); build the organism again") from error
