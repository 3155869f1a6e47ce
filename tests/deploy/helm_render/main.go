// Renders a chart as `helm template` does, for our tests: Go's own template engine with sprig's functions (both
// are what Helm is made of), and the few that Helm adds. No cluster: lookup finds nothing.
//
//	helm_render CHART RELEASE NAMESPACE [VALUES.yaml...]
//
// Prints every manifest behind a line "# Source: templates/NAME"; NOTES.txt likewise.
package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"text/template"

	"github.com/Masterminds/sprig"
	"sigs.k8s.io/yaml"
)

type object = map[string]interface{}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func readYaml(path string) object {
	text, err := os.ReadFile(path)
	check(err)
	out := object{}
	check(yaml.UnmarshalStrict(text, &out))
	return out
}

// Values over values: tables are merged, everything else is replaced, null takes a key away.
func merge(base, over object) object {
	for key, value := range over {
		table, isTable := value.(object)
		known, hasTable := base[key].(object)
		switch {
		case value == nil:
			delete(base, key)
		case isTable && hasTable:
			base[key] = merge(known, table)
		default:
			base[key] = value
		}
	}
	return base
}

// .Chart has the keys of Chart.yaml with a capital letter.
func chartOf(path string) object {
	chart := object{}
	for key, value := range readYaml(filepath.Join(path, "Chart.yaml")) {
		chart[strings.ToUpper(key[:1])+key[1:]] = value
	}
	return chart
}

func functions(root *template.Template) template.FuncMap {
	toYaml := func(value interface{}) (string, error) {
		text, err := yaml.Marshal(value)
		return strings.TrimSuffix(string(text), "\n"), err
	}
	include := func(name string, data interface{}) (string, error) {
		var out bytes.Buffer
		err := root.ExecuteTemplate(&out, name, data)
		return out.String(), err
	}
	required := func(message string, value interface{}) (interface{}, error) {
		if value == nil || value == "" {
			return nil, errors.New(message)
		}
		return value, nil
	}
	lookup := func(_, _, _, _ string) object { return object{} }
	all := sprig.TxtFuncMap()
	delete(all, "env") // as Helm does
	delete(all, "expandenv")
	helms := template.FuncMap{"toYaml": toYaml, "include": include, "required": required, "lookup": lookup}
	for name, function := range helms {
		all[name] = function
	}
	return all
}

func main() {
	if len(os.Args) < 4 {
		check(errors.New("usage: helm_render CHART RELEASE NAMESPACE [VALUES.yaml...]"))
	}
	folder, release, namespace := os.Args[1], os.Args[2], os.Args[3]
	values := readYaml(filepath.Join(folder, "values.yaml"))
	for _, path := range os.Args[4:] {
		values = merge(values, readYaml(path))
	}
	data := object{
		"Values":  values,
		"Chart":   chartOf(folder),
		"Release": object{"Name": release, "Namespace": namespace, "Service": "Helm"},
	}
	root := template.New("chart").Option("missingkey=zero")
	root.Funcs(functions(root))
	paths, err := filepath.Glob(filepath.Join(folder, "templates", "*"))
	check(err)
	sort.Strings(paths)
	for _, path := range paths {
		text, err := os.ReadFile(path)
		check(err)
		_, err = root.New(filepath.Base(path)).Parse(string(text))
		check(err)
	}
	for _, path := range paths {
		name := filepath.Base(path)
		if strings.HasPrefix(name, "_") {
			continue
		}
		var out bytes.Buffer
		check(root.ExecuteTemplate(&out, name, data))
		if text := strings.TrimSpace(out.String()); text != "" {
			fmt.Printf("# Source: templates/%s\n%s\n---\n", name, text)
		}
	}
}
