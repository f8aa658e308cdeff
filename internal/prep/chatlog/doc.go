// Package chatlog turns session logs of Claude Code into conversations for
// fine-tuning.
//
// A log is a folder tree of JSONL files, one file a session, one record a
// line. Records form a graph through uuid and parentUuid; one model response
// is spread over several records that share message.id; resuming a session
// copies its history into a new file. The format has no specification: what
// is read here is what the files hold, and anything unknown is kept as a node
// of the graph and otherwise ignored.
//
//	lines -> records -> graph -> active branch -> segments -> messages
//
// A segment is a part of the active branch that the model saw as one context:
// compaction ends one and starts the next, and so does a record that is
// missing. Each segment becomes at most one Conversation.
package chatlog
