"""Asks a qlora serve for everything that the openai package can ask it for.

    python3 openai_client.py http://127.0.0.1:8080/v1 BASE ADAPTER
"""

import json
import sys

import openai

url, base, adapter = sys.argv[1:4]
client = openai.OpenAI(base_url=url, api_key="unused", max_retries=0)
HELLO = [{"role": "user", "content": "What does strings.Cut do?"}]
TOOLS = [{"type": "function", "function": {"name": "weather", "description": "tells the weather", "parameters": {
    "type": "object", "required": ["city"], "properties": {"city": {"enum": ["Bern", "Oslo"]}}}}}]
done = 0


def check(name, ok, got=None):
    global done
    if not ok:
        sys.exit(f"{name}: {got!r}")
    done += 1
    print("ok", name)


names = [m.id for m in client.models.list()]
check("models", names == [base, adapter], names)
check("one model", client.models.retrieve(adapter).id == adapter)

for model in (base, adapter):
    answer = client.chat.completions.create(model=model, messages=HELLO, max_tokens=16, temperature=0, seed=1)
    check(f"chat of {model}", answer.model == model and answer.choices[0].message.content and answer.usage.completion_tokens == 16, answer)

chunks = list(client.chat.completions.create(
    model=base, messages=HELLO, max_tokens=16, temperature=0, stream=True, stream_options={"include_usage": True}))
text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
whole = client.chat.completions.create(model=base, messages=HELLO, max_tokens=16, temperature=0).choices[0].message.content
check("stream", text == whole and chunks[-1].usage.total_tokens > 16, (text, whole))

with client.chat.completions.stream(model=base, messages=HELLO, stop=[" s"], seed=1) as s:  # the helper refuses answers that are cut
    kinds = [e.type for e in s]
    final = s.get_final_completion()
check("stream helper", "content.delta" in kinds and final.choices[0].message.content, kinds)

answer = client.chat.completions.create(model=base, messages=HELLO, max_tokens=64, tools=TOOLS, tool_choice="required")
call = answer.choices[0].message.tool_calls[0]
check("tools", answer.choices[0].finish_reason == "tool_calls" and json.loads(call.function.arguments)["city"] in ("Bern", "Oslo"), answer)
with client.chat.completions.stream(model=base, messages=HELLO, max_tokens=64, tools=TOOLS,
                                    tool_choice={"type": "function", "function": {"name": "weather"}}) as s:
    streamed = s.get_final_completion().choices[0].message.tool_calls[0]
check("tools in a stream", streamed.function.name == "weather" and "city" in json.loads(streamed.function.arguments), streamed)
back = client.chat.completions.create(model=base, max_tokens=8, tools=TOOLS, messages=HELLO + [
    answer.choices[0].message, {"role": "tool", "tool_call_id": call.id, "content": "20 C"}])
check("result of a tool", back.choices[0].message.role == "assistant")

answer = client.chat.completions.create(model=base, messages=HELLO, max_tokens=100, response_format={"type": "json_schema", "json_schema": {
    "name": "thing", "strict": True, "schema": {"type": "object", "required": ["kind"], "additionalProperties": False,
                                                "properties": {"kind": {"enum": ["box", "ball"]}}}}})
check("json schema", json.loads(answer.choices[0].message.content)["kind"] in ("box", "ball"), answer)

answer = client.chat.completions.create(model=base, messages=HELLO, max_tokens=4, logprobs=True, top_logprobs=2, n=2)
check("logprobs and choices", len(answer.choices) == 2 and len(answer.choices[1].logprobs.content[0].top_logprobs) == 2, answer)

answer = client.completions.create(model=base, prompt="func add(a, b int) int {\n\treturn ", suffix="\n}\n", max_tokens=12, temperature=0)
check("suffix", answer.choices[0].text and answer.usage.prompt_tokens > 5, answer)
text = "".join(c.choices[0].text for c in client.completions.create(model=base, prompt="package ", max_tokens=8, stream=True, stop="\n"))
check("completion in a stream", isinstance(text, str) and "\n" not in text, text)

for name, error, ask in (
    ("unknown model", openai.NotFoundError, lambda: client.chat.completions.create(model="none", messages=HELLO)),
    ("bad parameter", openai.BadRequestError, lambda: client.chat.completions.create(model=base, messages=HELLO, temperature=9)),
    ("unknown parameter", openai.BadRequestError, lambda: client.chat.completions.create(model=base, messages=HELLO, extra_body={"surprise": 1})),
    ("long prompt", openai.BadRequestError, lambda: client.completions.create(model=base, prompt="word " * 5000)),
):
    try:
        ask()
        check(name, False, "no error")
    except error as e:
        check(name, e.body["message"] and e.body["type"], e)
print(f"{done} passed, 0 failed (openai {openai.__version__})")
