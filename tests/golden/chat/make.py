"""Renders every template of this folder over conversations.json with Python's jinja2, as transformers sets it up.

    pip install jinja2==3.1.6
    python make.py [FOLDER]

writes NAME.json beside each NAME.jinja: for each conversation the text, or the error. `raised` is what the template itself said
through raise_exception; `failed` is any other error of jinja2 or Python, whose wording is Python's own.

The environment is that of transformers 5.23.0, src/transformers/utils/chat_template_utils.py (Apache-2.0): the same settings,
extensions, `tojson`, `raise_exception`, `strftime_now`, and the names that a message's reasoning is copied to. What is left out
guards Python's own internals.
"""

import datetime
import json
import pathlib
import platform
import sys

import jinja2
import jinja2.ext
from jinja2.sandbox import ImmutableSandboxedEnvironment

assert jinja2.__version__ == "3.1.6", jinja2.__version__
HERE = pathlib.Path(__file__).parent
INPUT = json.loads((HERE / "conversations.json").read_text())
NOW = datetime.datetime.fromisoformat(INPUT["now"])


class Generation(jinja2.ext.Extension):
    """{% generation %} … {% endgeneration %} marks what the assistant says; here, as when no mask is wanted, it does nothing."""

    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        return jinja2.nodes.CallBlock(self.call_method("_support"), [], [], body).set_lineno(line)

    @jinja2.pass_eval_context
    def _support(self, context, caller):
        return caller()


class Raised(jinja2.exceptions.TemplateError):
    pass


def raise_exception(message):
    raise Raised(message)


def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
    return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def environment():
    result = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[Generation, jinja2.ext.loopcontrols])
    result.filters["tojson"] = tojson
    result.globals["raise_exception"] = raise_exception
    result.globals["strftime_now"] = NOW.strftime
    return result


def with_reasoning(message):
    names = ("reasoning_content", "thinking", "reasoning")
    reasoning = next((message[name] for name in names if message.get(name) is not None), None)
    return message if reasoning is None else {"thinking": reasoning, **message, "reasoning_content": reasoning}


def render(template, conversation):
    arguments = dict(INPUT["tokens"])
    if "thinking" in conversation:
        # The names under which models take it.
        arguments |= {"enable_thinking": conversation["thinking"], "thinking": conversation["thinking"]}
    arguments |= conversation.get("extra", {})
    try:
        return {"text": template.render(
            messages=[with_reasoning(message) for message in conversation["messages"]],
            tools=INPUT["tools"].get(conversation.get("tools")),
            documents=conversation.get("documents"),
            add_generation_prompt=conversation.get("add_generation_prompt", True),
            **arguments,
        )}
    except Raised as error:
        return {"raised": error.message}
    except Exception as error:
        return {"failed": f"{type(error).__name__}: {error}"}


def main():
    folder = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else HERE
    for path in sorted(folder.glob("*.jinja")):
        # newline="": a template's own line ends are jinja2's business.
        with open(path, newline="") as file:
            template = environment().from_string(file.read())
        results = {name: render(template, conversation) for name, conversation in INPUT["conversations"].items()}
        header = {"jinja2": jinja2.__version__, "python": platform.python_version(), "results": results}
        path.with_suffix(".json").write_text(json.dumps(header, ensure_ascii=False, indent=1) + "\n")
        failed = sorted(name for name, result in results.items() if "failed" in result)
        print(f"{path.stem}: {len(results)} conversations; failed: {', '.join(failed) or 'none'}")


if __name__ == "__main__":
    main()
