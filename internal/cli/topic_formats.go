package cli

// formatsText is the topic formats.
const formatsText = `Files that qlora reads and writes. All text is UTF-8. A file is written beside
its place, synced and renamed: it is there whole or not at all. A folder that is
missing on the way to it is made.

Models (.gguf):
  GGUF of version 2 and 3, little-endian, as llama.cpp reads it. Of a split
  model (NAME-00001-of-00003.gguf) name the first part. 'qlora inspect' shows
  what one holds, 'qlora pull' fetches one, 'qlora quantize' changes its type.

Adapters (outputs/RUN/adapter.gguf):
  GGUF with general.type "adapter", adapter.type "lora", adapter.lora.alpha, and
  for each adapted matrix NAME two tensors, NAME.lora_a and NAME.lora_b. They
  fit the base that they were trained on; llama.cpp's programs take them too.

Training data (.jsonl, also packed with gzip or zstd):
  One JSON object a line. Its keys tell its kind; a file may hold several.
    messages                     a chat of role and content, perhaps tool_calls;
                                 beside it perhaps tools
    conversations                ShareGPT: from and value
    prefix, suffix, middle       fill in the middle; perhaps repo, path and
                                 context, a list of other files (path, content)
    prompt, completion           texts, or lists of messages
    instruction, output          Alpaca; perhaps input
    text                         plain text, all of it trained on
  A number after a colon weights a file: --data code.jsonl:0.5 shows half of it.

Settings (.yaml):
  Keys are the flags of 'qlora train' without dashes in front; an unknown key is
  an error. Each run keeps its resolved settings as runs/RUN/config.yaml, which
  --config takes.

Checkpoints (outputs/RUN/checkpoint-N/):
  params.f32     trained weights, F32
  moments.f32    both moments of AdamW
  state.json     step, position in the data, seed, layout of the two files above
  adapter.gguf   the adapter as it was then
  DONE           sizes and checksums of the others, written last: without it the
                 folder is no checkpoint

Runs (runs/RUN/):
  metrics.jsonl  one report a line: step, loss, learning_rate, ...
  status.json    state, process and host
  summary.json   the summary of train, at the end
  config.yaml    the resolved settings
  events.out.tfevents.*   the same figures for TensorBoard

Downloads (NAME.gguf.part and NAME.gguf.part.journal):
  A model on its way, and the chunks of it that are on the disk. The same call
  of 'qlora pull' goes on; both may be removed to begin anew.

JSON lines (--json):
  Objects with message_type, the last one of type summary, or error. The fields
  are in docs/scripting.md. None is ever renamed or changes its meaning.

Secrets (.env):
  KEY=value a line, in the current folder. See 'qlora help environment'.
`
