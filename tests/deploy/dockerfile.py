"""A Dockerfile as its stages and instructions: enough of its grammar for our own."""
import json
import re
import shlex
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Instruction:
    name: str  # upper case
    text: str  # what is behind it, its lines joined

    @property
    def words(self):
        """Its arguments, in JSON form or plain."""
        return json.loads(self.text) if self.text.startswith("[") else shlex.split(self.text)


@dataclass
class Stage:
    image: str
    name: str
    instructions: list = field(default_factory=list)

    def all(self, name):
        return [i for i in self.instructions if i.name == name]

    def one(self, name):
        found = self.all(name)
        assert len(found) == 1, f"{len(found)} {name} in the stage of {self.image}"
        return found[0]

    def environment(self):
        return dict(word.split("=", 1) for env in self.all("ENV") for word in env.words)


def read(path):
    """The stages, in order."""
    text = re.sub(r"^\s*#.*\n", "", Path(path).read_text(), flags=re.M)
    text = re.sub(r"\s*\\\n\s*", " ", text)
    stages = []
    for line in filter(None, map(str.strip, text.splitlines())):
        name, _, rest = line.partition(" ")
        if name.upper() == "FROM":
            image, _, alias = rest.partition(" AS ")
            stages.append(Stage(image.strip(), alias.strip()))
        else:
            stages[-1].instructions.append(Instruction(name.upper(), rest.strip()))
    return stages
