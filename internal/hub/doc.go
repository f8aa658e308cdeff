// Package hub downloads GGUF files from a model hub that speaks the protocol of
// Hugging Face:
//
//	GET  /api/models/{repo}/tree/{revision}?recursive=true   files, with sizes and hashes, in pages (Link: rel="next")
//	HEAD /{repo}/resolve/{revision}/{path}                   X-Repo-Commit, X-Linked-Etag, X-Linked-Size, often a
//	                                                         redirect to a file server on another host
//
// A download is a file NAME.part, written in chunks by several connections, and
// a journal NAME.part.journal of the chunks that are on the disk. After a crash
// the same call goes on with the chunks that are missing. The journal pins the
// file's hash: when the hub has another file by then, the download starts anew.
//
// A token goes to the hub itself, never to a host that it redirects to, and
// never into an error or a log.
package hub
