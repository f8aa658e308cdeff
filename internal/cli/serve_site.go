package cli

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/dustin/go-humanize"

	"github.com/qlora/qlora/internal/dataset"
	"github.com/qlora/qlora/internal/serve"
	"github.com/qlora/qlora/internal/ui"
)

// keyEnv is the environment variable that holds the API key of what listens.
const keyEnv = "QLORA_API_KEY"

const (
	bodyTime  = 30 * time.Second // for a body to arrive
	writeTime = 30 * time.Second // for a client to take what was written
)

// site turns the flags into the options of the HTTP side.
func (o *serveOptions) site() (serve.Options, error) {
	keys, err := o.keys()
	if err != nil {
		return serve.Options{}, err
	}
	local, err := isLoopback(o.host)
	if err != nil {
		return serve.Options{}, err
	}
	if !local && len(keys) == 0 {
		return serve.Options{}, ui.Fail(ui.ExitUsage, fmt.Errorf("others can reach --host %s, so an API key is needed", o.host),
			"set "+keyEnv+", for example: "+keyEnv+"=$(openssl rand -hex 16) qlora serve ...",
			"or name a file with keys: --api-key-file FILE")
	}
	size, err := humanize.ParseBytes(o.maxBody)
	if err != nil || size == 0 || size > 1<<30 {
		return serve.Options{}, ui.Fail(ui.ExitUsage, fmt.Errorf("--max-body %q is no size up to 1GiB", o.maxBody),
			"write a number and a unit, such as --max-body 8MiB")
	}
	template, err := o.chatTemplate()
	if err != nil {
		return serve.Options{}, err
	}
	site := serve.Options{
		Keys: keys, Template: template, Origins: o.cors, Sampling: o.sampling, Queue: o.queue,
		MaxBody: int64(size), Body: bodyTime, Request: o.timeout, Write: writeTime,
	}
	if local {
		site.Hosts = []string{"localhost", "127.0.0.1", "::1", o.host}
	}
	return site, nil
}

// chatTemplate is the text of the template to use instead of the model's, ""
// for none.
func (o *serveOptions) chatTemplate() (string, error) {
	text, err := dataset.TemplateText(o.template)
	if o.templateFile != "" {
		var file []byte
		file, err = os.ReadFile(o.templateFile)
		text = string(file)
	}
	if err == nil && text != "" {
		_, err = dataset.NewTemplate(cmp.Or(o.templateFile, "--chat-template"), text, time.Now())
	}
	if err != nil {
		return "", ui.Fail(ui.ExitUsage, fmt.Errorf("read the chat template: %w", err),
			"name a file with a Jinja template, or a built-in one with --chat-template: "+strings.Join(dataset.TemplateNames(), ", "))
	}
	return text, nil
}

// isOrigin tells whether text can be what browsers send as Origin.
func isOrigin(text string) bool {
	u, err := url.Parse(text)
	return text == "*" || err == nil && u.Scheme != "" && u.Host != "" && text == u.Scheme+"://"+u.Host
}

// keys are those of the environment and of the file.
func (o *serveOptions) keys() ([]string, error) {
	var keys []string
	key, err := environmentKey()
	if err != nil {
		return nil, err
	}
	if key != "" {
		keys = append(keys, key)
	}
	if o.keyFile == "" {
		return keys, nil
	}
	text, err := os.ReadFile(o.keyFile)
	if err != nil {
		return nil, ui.Fail(ui.ExitUsage, fmt.Errorf("read the API keys: %w", err),
			"name a file with one key a line, for example made with: openssl rand -hex 16 > keys", "or set "+keyEnv)
	}
	lines := 0
	for _, line := range strings.Split(string(text), "\n") {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			keys = append(keys, line)
			lines++
		}
	}
	if lines == 0 {
		return nil, ui.Fail(ui.ExitUsage, fmt.Errorf("%s holds no API key", o.keyFile), "write one key a line")
	}
	return keys, nil
}

// environmentKey is the key of the environment, "" for none. An empty one is an
// error: whoever set it did not mean to let everybody in.
func environmentKey() (string, error) {
	key, set := os.LookupEnv(keyEnv)
	if key = strings.TrimSpace(key); set && key == "" {
		return "", ui.Fail(ui.ExitUsage, errors.New(keyEnv+" is set, but empty"), "give it a value, or unset it")
	}
	return key, nil
}

// isLoopback tells whether only this machine reaches a host: all its addresses
// are loopback ones.
func isLoopback(host string) (bool, error) {
	if host == "" {
		return false, nil // every interface
	}
	if ip := net.ParseIP(host); ip != nil {
		return ip.IsLoopback(), nil
	}
	ips, err := net.LookupIP(host)
	if err != nil {
		return false, ui.Fail(ui.ExitUsage, fmt.Errorf("--host %s: %w", host, err))
	}
	for _, ip := range ips {
		if !ip.IsLoopback() {
			return false, nil
		}
	}
	return true, nil
}
