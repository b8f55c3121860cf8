"""JSON schemas by number: the same number gives the same schema, over what docs/structured_output.md says is kept to.
Small ones, so that a model of any kind comes to their end within some dozen tokens."""

import random

WORDS = ["name", "age", "city", "tags", "id", "ok", "größe", "a b", 'q"', "x\\y"]


class Maker:
    def __init__(self, number: int):
        self.random = random.Random(number)
        self.definitions = {}

    def schema(self) -> dict:
        schema = self.of_any_kind(2)
        return {**schema, "$defs": self.definitions} if self.definitions else schema

    def of_any_kind(self, depth: int) -> dict:
        kinds = [self.text, self.integer, self.number, self.plain, self.constant]
        if depth > 0:
            kinds += [self.object, self.object, self.array, self.array, self.any_of, self.one_of, self.all_of, self.reference]
        kind = self.random.choice(kinds)
        return kind(depth - 1) if kind.__name__ in ("object", "array", "any_of", "one_of", "all_of", "reference") else kind()

    def text(self) -> dict:
        choices = [
            {"maxLength": self.random.randint(1, 8)},
            {"minLength": 2, "maxLength": self.random.randint(2, 6)},
            {"pattern": self.random.choice(["^[a-z]{1,6}$", "^\\d{2}-\\d{2}$", "^(yes|no|maybe)$", "^[A-Z][a-z]{0,4}!?$"])},
            {"format": self.random.choice(["date", "ipv4", "time"])},
        ]
        return {"type": "string", **self.random.choice(choices)}

    def integer(self) -> dict:
        low = self.random.randint(-50, 50)
        bounds = {"minimum": low, "maximum": low + self.random.randint(0, 500)}
        if self.random.random() < 0.3:
            bounds = {"exclusiveMinimum": low, "exclusiveMaximum": low + self.random.randint(2, 100)}
        if self.random.random() < 0.2:
            bounds = {"minimum": 0, "maximum": 1000, "multipleOf": self.random.choice([2, 5, 10])}
        return {"type": "integer", **bounds}

    def number(self) -> dict:
        low = self.random.randint(-5, 5) / 2
        return {"type": "number", "minimum": low, "maximum": low + self.random.randint(1, 9) / 4, "multipleOf": 0.25}

    def plain(self) -> dict:
        return {"type": self.random.choice(["boolean", "null", ["boolean", "null"]])}

    def constant(self) -> dict:
        values = [1, -2.5, True, None, "red", "grün", "a\nb", [1, 2], {"k": "v"}]
        if self.random.random() < 0.5:
            return {"const": self.random.choice(values)}
        return {"enum": self.random.sample(values, self.random.randint(1, 5))}

    def object(self, depth: int) -> dict:
        names = self.random.sample(WORDS, self.random.randint(0, 3))
        schema = {"type": "object", "properties": {name: self.of_any_kind(depth) for name in names},
                  "required": [name for name in names if self.random.random() < 0.7]}
        if self.random.random() < 0.7:
            schema["additionalProperties"] = False
        else:
            schema["additionalProperties"] = self.integer()
        if self.random.random() < 0.15:
            schema["patternProperties"] = {"^p[0-9]$": self.integer()}
        if schema["additionalProperties"] or "patternProperties" in schema:
            schema |= {"required": names, "maxProperties": len(names) + 1}  # so that there is an end to them
        return schema

    def array(self, depth: int) -> dict:
        if self.random.random() < 0.3:
            first = [self.of_any_kind(depth - 1) for _ in range(self.random.randint(1, 2))]
            return {"type": "array", "prefixItems": first, "items": False, "minItems": self.random.randint(0, len(first))}
        low = self.random.randint(0, 2)
        return {"type": "array", "items": self.of_any_kind(depth - 1), "minItems": low,
                "maxItems": low + self.random.randint(0, 2)}

    def any_of(self, depth: int) -> dict:
        return {"anyOf": [self.of_any_kind(depth) for _ in range(self.random.randint(1, 3))]}

    def one_of(self, depth: int) -> dict:
        return {"oneOf": [{"type": "object", "required": ["kind", "value"], "additionalProperties": False,
                           "properties": {"kind": {"const": kind}, "value": self.of_any_kind(depth - 1)}}
                          for kind in ("a", "b")]}

    def all_of(self, _depth: int) -> dict:
        low = self.random.randint(0, 20)
        return {"allOf": [{"type": "integer", "minimum": low}, {"maximum": low + 30}]}

    def reference(self, depth: int) -> dict:
        name = f"part{len(self.definitions)}"
        self.definitions[name] = True  # its place, for those within it
        self.definitions[name] = self.of_any_kind(depth - 1)
        return {"$ref": f"#/$defs/{name}"}


def make_schema(number: int) -> dict:
    return Maker(number).schema()
