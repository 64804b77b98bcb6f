"""`stillhouse publish`: put a distilled set where others fetch it."""

import dataclasses
import json
from pathlib import Path
from typing import Any

from stillhouse.data.distilled import set_file
from stillhouse.data.releases import lay_out_hub, publish
from stillhouse.launch.errors import bad_input
from stillhouse.launch.settings.releases import PublishConfig


def run(config: PublishConfig) -> int:
    """Publish the set, and return the exit code.

    Raises:
        CommandError: if it is no set that can be published, the place cannot be written, or holds
            another set of that name.
    """
    place = config.place
    result: dict[str, Any] = {}
    lines = []
    with bad_input():
        file = set_file(config.file)
        names: dict[str, Any] = {"name": place.name, "license": place.license}
        if place.to is not None:
            published = publish(file, place.to, **names)
            result |= {"new": published.new, "location": published.location}
            result |= {"index": published.index, "row": dataclasses.asdict(published.row)}
            was = "" if published.new else ", which has it already"
            lines.append(f"{published.location}: in {published.index}{was}")
        if place.hub is not None:
            files = lay_out_hub(file, Path(place.hub).expanduser(), **names)
            result["hub"] = [str(path) for path in files]
            lines.append(f"{place.hub}: {', '.join(map(str, files))}")
    print(json.dumps(result) if config.output.json else "\n".join(lines))
    return 0
