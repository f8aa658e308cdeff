#!/usr/bin/env python3
"""Renders every record of a JSONL file of messages with chat templates, through transformers.

    chatlog_render.py FILE.jsonl TEMPLATE.jinja [TEMPLATE.jinja]...

Fails on the first record that a template refuses, or of which a word of a reply is missing in the rendering.
"""
import json
import sys

from transformers.utils.chat_template_utils import _compile_jinja_template

path, *templates = sys.argv[1:]
records = [json.loads(line) for line in open(path, encoding="utf-8")]
for name in templates:
    template = _compile_jinja_template(open(name, encoding="utf-8").read())
    for n, r in enumerate(records, 1):
        calls = [c["id"] for m in r["messages"] for c in m.get("tool_calls", [])]
        results = [m["tool_call_id"] for m in r["messages"] if m["role"] == "tool"]
        assert calls == results, f"record {n}: calls {calls}, results {results}"
        text = template.render(messages=r["messages"], tools=r.get("tools"), add_generation_prompt=False,
                               bos_token="<s>", eos_token="</s>")
        for m in r["messages"]:
            if m["role"] in ("user", "assistant") and not m.get("tool_calls"):  # words beside calls are left out by some
                assert m["content"].strip() in text, f"record {n}: {m['content']!r} is missing"
    print(f"{name}: {len(records)} records render")
