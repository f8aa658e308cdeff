// Package web holds the chat page.
package web

import "embed"

// Files are index.html and what it needs; nothing is loaded from elsewhere.
//
//go:embed index.html chat.js text.js chat.css
var Files embed.FS
