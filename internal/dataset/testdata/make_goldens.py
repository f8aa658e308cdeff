#!/usr/bin/env python3
"""Renders the golden files of this package with Hugging Face transformers.

    python testdata/make_goldens.py        (in internal/dataset; transformers 4.51.3, Jinja2 3.1.6)

testdata/goldens.json        every conversation below through every template of testdata/templates
jinja/testdata/snippets.json small pieces of Jinja, one feature each

The templates speak the wire formats of the families they are named after and
use the features of Jinja that the families' own templates use.
"""
import json
import pathlib

from transformers.utils.chat_template_utils import _compile_jinja_template

HERE = pathlib.Path(__file__).resolve().parent

WEATHER = {"type": "function", "function": {
    "name": "get_weather", "description": "Weather <now> & later, in \"one\" city",
    "parameters": {"type": "object", "properties": {
        "city": {"type": "string", "description": "Città, 市"},
        "days": {"type": "integer", "default": 1}}, "required": ["city"]}}}
CLOCK = {"type": "function", "function": {
    "name": "clock", "description": "Time", "parameters": {"type": "object", "properties": {}}}}


def call(name, arguments, id="abc123def"):
    return {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}


CONVERSATIONS = {
    "one turn": {"messages": [
        {"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello!"}]},
    "system": {"messages": [
        {"role": "system", "content": "  Be brief.\n"}, {"role": "user", "content": "Why?"},
        {"role": "assistant", "content": "Because."}]},
    "several turns": {"messages": [
        {"role": "user", "content": "a"}, {"role": "assistant", "content": " b "},
        {"role": "user", "content": "c\n"}, {"role": "assistant", "content": "d\n\ne"},
        {"role": "user", "content": "f"}, {"role": "assistant", "content": "g"}]},
    "unicode": {"messages": [
        {"role": "user", "content": "Grüße, 世界 🌍 — \"quotes\" 'n' <tags> & \\ \u00a0"},
        {"role": "assistant", "content": "naïve\tтекст"}]},
    "empty content": {"messages": [
        {"role": "user", "content": ""}, {"role": "assistant", "content": ""}]},
    "unanswered": {"messages": [{"role": "user", "content": "Hm?"}]},
    "tool call": {"tools": [WEATHER, CLOCK], "messages": [
        {"role": "user", "content": "Weather in Zürich?"},
        {"role": "assistant", "content": "", "tool_calls": [
            call("get_weather", {"city": "Zürich", "days": 2, "f": 1.0, "s": 1e-7, "n": None, "y": True})]},
        {"role": "tool", "tool_call_id": "abc123def", "name": "get_weather", "content": "{\"t\": 12}"},
        {"role": "assistant", "content": "12 °C."},
        {"role": "user", "content": "Thanks"},
        {"role": "assistant", "content": "Any time."}]},
    "two calls": {"tools": [CLOCK], "messages": [
        {"role": "system", "content": "Use tools."},
        {"role": "user", "content": "Now?"},
        {"role": "assistant", "content": "Let me see.", "tool_calls": [
            call("clock", {}, "aaaaaaaaa"), call("clock", {"z": [1, {"a": "b"}]}, "bbbbbbbbb")]},
        {"role": "tool", "tool_call_id": "aaaaaaaaa", "content": "1"},
        {"role": "tool", "tool_call_id": "bbbbbbbbb", "content": "2"},
        {"role": "assistant", "content": "Noon."}]},
    "wrong order": {"messages": [
        {"role": "assistant", "content": "first"}, {"role": "user", "content": "second"}]},
}

SNIPPETS = [
    # truth and operators return operands
    "{{ a or 'x' }}|{{ l or 'x' }}|{{ s and n }}|{{ not s }}", "{{ none or undefined_name or 0 }}",
    "{{ (l[0] if s else 'no') ~ '!' }}", "{{ 'y' if false }}|", "{{ 1 if 0 else 2 if 0 else 3 }}",
    "{{ 7 // 2 }} {{ -7 // 2 }} {{ -7 % 3 }} {{ 7 / 2 }} {{ 2 ** 3 }} {{ 1 + 2 * 3 }} {{ 'a' * 3 }}",
    "{{ 1 ~ 2 + 3 }}", "{{ 2 + 3 ~ 1 }}", "{{ 1.0 }} {{ 1e20 }} {{ 1e-5 }} {{ 0.1 + 0.2 }} {{ 3.5e3 }}",
    "{{ 1 == 1.0 }} {{ 1 == true }} {{ 'a' < 'b' }} {{ 1 < 2 < 3 }} {{ 1 < 2 > 5 }}",
    "{{ l == ['x', 'y'] }} {{ {'a': 1} == {'a': 1.0} }} {{ (1, 2) }} {{ (1,) }} {{ [] }} {{ {} }}",
    "{{ 'x' in l }} {{ 'x' not in l }} {{ not 'x' in l }} {{ 'z' in d }} {{ 'el' in 'hello' }}",
    "{{ -n }} {{ -n|abs }} {{ +n }}", "{{ true }} {{ True }} {{ none }} {{ None }}", "{{ true + true }}",
    "{{ l + ['z'] }} {{ [1] * 2 }}", "{{ [1, 'it\\'s', \"q\\\"\", none, 1.5, true] }}", "{{ d }}",
    "{{ 'tab\\tnl\\nq\\'u\\\\x\\x41\\u00e9\\d' }}", "{{ 'a' 'b' }}", "{{ undefined_name }}|", "{{ undefined_name.x }}",
    "{{ undefined_name + 'a' }}", "{{ 'a' + 1 }}", "{{ 1 / 0 }}", "{{ l < 3 }}", "{{ 10_000 }}",
    # attributes, items, slices
    "{{ d.k }} {{ d['k'] }} {{ d.none_such }}|{{ d['none_such'] }}|", "{{ l.0 }} {{ l[-1] }} {{ l[9] }}|{{ l[-9] }}|",
    "{{ l[1:] }} {{ l[5:] }} {{ l[:-1] }} {{ l[::-1] }} {{ w[1:3] }} {{ w[-3:] }} {{ w[::2] }} {{ l[:99] }}",
    "{{ d.items() | list }}", "{{ w[0] }}{{ u[1] }}{{ u[-1] }}",
    "{{ u[1:] }} {{ u | length }}", "{{ nested.a.b[0]['c'] }}", "{{ l.x }}|{{ n.x }}|{{ s.x }}|",
    # string methods
    "{{ ' a b '.strip() }}|{{ 'xxaxx'.strip('x') }}|{{ ' a '.lstrip() }}|{{ ' a '.rstrip() }}|{{ 'a\\n\\n'.rstrip('\\n') }}|",
    "{{ 'a b  c'.split() }} {{ 'a,b,,c'.split(',') }} {{ 'a,b,c'.split(',', 1) }} {{ 'a b c'.split(none, 1) }} {{ ''.split() }}",
    "{{ 'a,b,c'.rsplit(',', 1) }} {{ ' a b  c '.rsplit(none, 1) }} {{ 'a b c'.rsplit() }}",
    "{{ 'a</think>b'.split('</think>')[-1] }} {{ 'x'.split('y')[0] }}",
    "{{ 'hello'.startswith('he') }} {{ 'hello'.endswith(('x', 'lo')) }} {{ 'Hello World'.upper() }} {{ 'ABC'.lower() }}",
    "{{ \"they're bill's\".title() }} {{ 'hELLO wORLD'.capitalize() }} {{ 'a-b'.replace('-', '+') }} {{ 'aaa'.replace('a', 'b', 2) }}",
    "{{ 'héllo'.find('l') }} {{ 'x'.find('y') }} {{ 'a\\nb\\r\\nc'.splitlines() }} {{ ', '.join(l) }} {{ 'abab'.count('ab') }}",
    "{{ '12'.isdigit() }} {{ 'a1'.isalpha() }} {{ ''.isspace() }} {{ 'ab'.removeprefix('a') }} {{ 'ab'.removesuffix('b') }}",
    "{{ 'k=v'.partition('=') }} {{ 'kv'.partition('=') }} {{ 'kv'.rpartition('=') }} {{ 'a=b=c'.rpartition('=') }}",
    # dict and list methods, and the sandbox
    "{% for k, v in d.items() %}{{ k }}={{ v }};{% endfor %}", "{{ d.keys() | list }} {{ d.values() | list }} {{ d.get('k') }} {{ d.get('q', 'zz') }} {{ d.get('q') }}",
    "{{ l.append('z') }}", "{{ d.update({'a': 1}) }}", "{{ l.index('y') }} {{ l.count('x') }}",
    # filters
    "{{ d | tojson }}", "{{ nested | tojson(indent=2) }}", "{{ {'e': {}, 'l': []} | tojson(indent=4) }}",
    "{{ [1.0, 1e-7, 1e22, 0.1, none, true, '<a>&\\'é\\u2028\\x07\"\\\\/'] | tojson }}", "{{ u | tojson(ensure_ascii=true) }}",
    "{{ {'b': 1, 'a': 2} | tojson(sort_keys=true, separators=(',', ':')) }}", "{{ undefined_name | tojson }}",
    "{{ l | length }} {{ w | count }} {{ '  x ' | trim }}| {{ 'x' | upper }} {{ 'X' | lower }} {{ 'foo-bar baz' | title }} {{ 'fOO' | capitalize }}",
    "{{ l | join(', ') }} {{ [1, 2] | join }} {{ l | first }} {{ l | last }} {{ [] | first }}| {{ 'abc' | list }} {{ 'abc' | reverse }} {{ l | reverse | list }}",
    "{{ undefined_name | default('d') }} {{ none | default('d') }} {{ '' | default('d', true) }} {{ '' | d('x', boolean=true) }}",
    "{{ people | selectattr('age', 'gt', 20) | map(attribute='name') | list }} {{ people | rejectattr('vip') | list | length }}",
    "{{ people | selectattr('role', 'equalto', 'user') | list | length }} {{ people | map(attribute='role', default='-') | join(',') }}",
    "{{ [3, 1, 2] | sort }} {{ ['b', 'A', 'c'] | sort }} {{ [1, 2] | sort(reverse=true) }} {{ people | sort(attribute='age') | map(attribute='name') | list }}",
    "{{ [1, 2, 3, 4] | select('odd') | list }} {{ [0, 1, ''] | select | list }} {{ ['a', 'b'] | map('upper') | list }} {{ [1, 2] | reject('equalto', 1) | list }}",
    "{{ ['a', 'A', 'b'] | unique | list }} {{ [1, 2, 3] | sum }} {{ [1, 2] | min }} {{ [1, 2] | max }} {{ people | sum(attribute='age') }}",
    "{{ '42' | int }} {{ 'x' | int }} {{ 'x' | int(7) }} {{ 3.9 | int }} {{ '1.5' | float }} {{ 2.567 | round(2) }} {{ 2.5 | round }} {{ 2.1 | round(0, 'ceil') }}",
    "{{ d | items | list }} {{ d | dictsort }} {{ undefined_name | items | list }} {{ 12 | string ~ 'x' }}",
    "{{ 'a\\nb\\n\\nc' | indent }}", "{{ 'a\\nb' | indent(2, true) }}", "{{ 'a\\n\\nb' | indent(width=1, blank=true) }}", "{{ 'a b c' | wordcount }}", "{{ '<b>' | e }}", "{{ '<b>' | safe }}",
    "{{ 'a' | nosuchfilter }}", "{{ 5 | replace('5', '6') }}",
    # tests
    "{{ n is defined }} {{ q is defined }} {{ q is not defined }} {{ q is undefined }} {{ none is none }} {{ d.q is none }} {{ not n is defined }}",
    "{{ 's' is string }} {{ 1 is string }} {{ d is mapping }} {{ l is mapping }} {{ l is sequence }} {{ 's' is sequence }} {{ d is iterable }} {{ 1 is iterable }} {{ 's' is iterable }}",
    "{{ 1 is number }} {{ true is number }} {{ 1 is integer }} {{ true is integer }} {{ 1.0 is float }} {{ true is boolean }} {{ true is true }} {{ 1 is true }} {{ false is false }}",
    "{{ 3 is odd }} {{ 4 is even }} {{ 9 is divisibleby 3 }} {{ 9 is divisibleby(2) }} {{ 1 is eq 1 }} {{ 1 is ne 1 }} {{ 2 is gt 1 }} {{ 2 is ge(2) }} {{ 'x' is in l }} {{ 'z' is not in l }}",
    "{{ none is sameas none }} {{ 1 is sameas true }} {{ range is callable }} {{ 'ab' is lower }} {{ 'AB' is upper }}", "{{ 1 is nosuchtest }}",
    "{% if l is not none and l is not string %}y{% endif %}", "{% if q is defined and q.x or n %}y{% else %}n{% endif %}",
    # statements
    "{% for x in l %}{{ loop.index }}{{ loop.index0 }}{{ loop.revindex }}{{ loop.revindex0 }}{{ loop.first }}{{ loop.last }}{{ loop.length }}{{ x }};{% else %}empty{% endfor %}",
    "{% for x in [] %}a{% else %}empty{% endfor %}", "{% for x in [1,2,3,4] if x % 2 == 0 %}{{ loop.index }}:{{ x }}{% if not loop.last %},{% endif %}{% endfor %}",
    "{% for x in range(5) %}{% if x == 1 %}{% continue %}{% endif %}{% if x == 3 %}{% break %}{% endif %}{{ x }}{% endfor %}",
    "{% for a, b in [(1, 2), (3, 4)] %}{{ a }}-{{ b }} {% endfor %}", "{% for i in range(3, 0, -1) %}{{ i }}{% endfor %} {{ range(2) | list }} {{ range(1, 4) | list }}",
    "{% for x in [1, 2] %}{% for y in 'ab' %}{{ loop.depth }}{{ x }}{{ y }} {% endfor %}{% endfor %}", "{% for c in u %}[{{ c }}]{% endfor %}",
    "{% for x in l %}{{ loop.previtem or '^' }}{{ x }}{{ loop.nextitem if loop.nextitem is defined else '$' }} {% endfor %}", "{% for x in [1,1,2] %}{{ loop.changed(x) }}{{ loop.cycle('o', 'e') }}{% endfor %}",
    "{% for k in d %}{{ k }}{% endfor %}{% for x in q %}{{ x }}{% endfor %}", "{% for x in 5 %}{% endfor %}", "{% for x in none %}{% endfor %}",
    "{% set x = 1 %}{% for i in l %}{% set x = 2 %}{{ x }}{% endfor %}{{ x }}", "{% set ns = namespace(f=false, n=0) %}{% for i in l %}{% set ns.n = ns.n + 1 %}{% if i == 'y' %}{% set ns.f = true %}{% endif %}{% endfor %}{{ ns.f }}{{ ns.n }}",
    "{% if true %}{% set x = 'in' %}{% endif %}{{ x }}", "{% set a, b = 1, 2 %}{{ a }}{{ b }}", "{% set t %}blk {{ n }}{% endset %}[{{ t }}]", "{% set t | upper | trim %} blk {% endset %}[{{ t }}]", "{% set t = 1, 2 %}{{ t }}",
    "{% macro m(a, b='d') %}<{{ a }}{{ b }}{{ g }}>{% endmacro %}{% set g = 'G' %}{{ m(1) }}{{ m(1, 2) }}{{ m(b=3, a=4) }}{{ m() }}", "{% macro m(a) %}{{ a }}{% if a > 0 %}{{ m(a - 1) }}{% endif %}{% endmacro %}{{ m(3) }}",
    "{% macro m(a) %}{% endmacro %}{{ m(1, 2) }}", "{% macro m(a) %}{% endmacro %}{{ m(z=2) }}", "{% with x = 1, y = n %}{{ x }}{{ y }}{% endwith %}{{ x }}|", "{% filter upper %}a{{ n }}b{% endfilter %}",
    "{% if a %}1{% elif l %}2{% else %}3{% endif %}", "{% raw %}{{ x }}{% endraw %}", "{% generation %}g{{ n }}{% endgeneration %}", "{{ raise_exception('told you') }}", "{% if n %}{{ dict(a=1, b='c') | tojson }}{% endif %}",
    "{# comment #}x{#- c -#} y", "{% include 'x' %}", "{% nosuchtag %}", "{{ n", "{% if n %}", "{{ n }", "{% for x l %}{% endfor %}", "{{ [1, 2 }}", "{% endif %}", "{{ strftime_now('%Y') | length }}",
    # whitespace
    "a\n{% if n %}\nb\n{% endif %}\nc\n", "  {% if n %}x{% endif %}  \ny", "a {%- if n %} b {% endif -%} \n\n c", "{% for x in l %}\n  {{ x }}\n{% endfor %}\nend", "x\n   {{ n }}\n   {{- n }}\n", "{%+ if n %}a{% endif +%}\nb", "  {%+ if n %}a{% endif %}",
    "{{ n -}}   \n {{ n }}", "a\n\n", "a\r\nb\r\n", "  {# c #}\nx", "x  {# c #}\ny", "{{ n }}\n  {% if n %}\n  y\n  {% endif %}z", "{% if n %}  {% if n %} {% endif %}{% endif %}", "{% set x = 1 -%}\n\n  x", "\n\n{% if n %}\n{% endif %}\n\n", "{{ {'a': {'b': 1}} }}", "{{ '}}' }}{{ '%}' }}",
    "{% if a == 'q' or\n      l and\n  n %}yes{% endif %}", "{{ {'a':\n 1,}\n ['a'] }}", "{% if n%}x{%endif%}", "{%- raw -%}  {% if %}  {%- endraw -%}  z", "text {{- ' x ' -}} text", "{% raw %}\n a\n{% endraw %}\n b",
]

VARS = {"a": "", "s": "str", "n": 5, "l": ["x", "y"], "w": "hello", "u": "aé世🌍", "d": {"z": 1, "k": "v", "b": [1]},
        "nested": {"a": {"b": [{"c": 3}]}, "e": "é"},
        "people": [{"name": "Ann", "age": 30, "role": "user", "vip": True}, {"name": "bob", "age": 20, "role": "admin"}]}


def render(template, variables):
    """The rendering, or the message of a raise_exception, or just that it failed."""
    try:
        return {"text": _compile_jinja_template(template).render(**variables)}
    except Exception as e:  # any failure of Jinja or of the template
        return {"error": str(e) if type(e).__name__ == "TemplateError" else ""}


def main():
    goldens = []
    for path in sorted((HERE / "templates").glob("*.jinja")):
        for name, conversation in CONVERSATIONS.items():
            for prompt in (False, True):
                out = render(path.read_text(), dict(conversation, add_generation_prompt=prompt, tools=conversation.get("tools"),
                                                    bos_token="<s>", eos_token="</s>"))
                goldens.append({"template": path.name, "conversation": name, "add_generation_prompt": prompt, **out})
    write(HERE / "goldens.json", {"conversations": CONVERSATIONS, "goldens": goldens})
    snippets = [{"template": s, **render(s, VARS)} for s in SNIPPETS]
    write(HERE.parent / "jinja" / "testdata" / "snippets.json", {"vars": VARS, "snippets": snippets})


def write(path, value):
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(value, ensure_ascii=False, indent=1) + "\n")


main()
