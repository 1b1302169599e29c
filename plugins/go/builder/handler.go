package main

import (
	"go/ast"
	"reflect"
	"sort"
	"strconv"
	"strings"
)

// How the adapter makes what the handler takes.
type eventForm int

const (
	noEvent     eventForm = iota
	unusedEvent           // an interface{} that the handler never looks at
	anyEvent              // interface{}
	objectEvent           // map[string]interface{}
	typedEvent            // anything else that JSON maps to, decoded by its type
)

type contextForm int

const (
	noContext      contextForm = iota
	unusedStrings              // a map[string]string that the handler never looks at
	unusedValues               // a map[string]interface{} that the handler never looks at
	stringsContext             // map[string]string
	valuesContext              // map[string]interface{} or interface{}
	goContext                  // context.Context
)

type resultForm int

const (
	noResult resultForm = iota
	valueResult
	errorResult
	valueAndErrorResult
)

// handler is the function to call, and how.
type handler struct {
	name         string
	file         *file
	event        eventForm
	eventType    ast.Expr
	context      contextForm
	contextFirst bool
	result       resultForm
}

const forms = `handlers take nothing, (event), (event, context) or (ctx context.Context, event), where event is interface{} ` +
	`or a type that JSON maps to, and context is map[string]string, map[string]interface{} or context.Context; they return ` +
	`nothing, a value, an error, or (value, error)`

// findHandler finds the handler among the package's functions and decides how it is called.
func (t *tree) findHandler(name string) (*handler, []remark) {
	var others []string
	for _, f := range t.files {
		for _, declaration := range f.ast.Decls {
			switch d := declaration.(type) {
			case *ast.FuncDecl:
				if d.Recv != nil {
					continue
				}
				if d.Name.Name == name && name != "main" && name != "init" {
					return t.fit(name, f, d.Name, d.Type, d.Body)
				}
				if d.Name.Name != "main" && d.Name.Name != "init" {
					others = append(others, d.Name.Name)
				}
			case *ast.GenDecl:
				for _, spec := range d.Specs {
					ident, literal := functionVariable(spec, name)
					if literal != nil {
						return t.fit(name, f, ident, literal.Type, literal.Body)
					}
				}
			}
		}
	}
	message := "there is no function named " + strconv.Quote(name)
	if name == "main" || name == "init" {
		message = name + " cannot be the handler: Go calls it by itself"
	}
	if sort.Strings(others); len(others) > 0 {
		message += "; functions: " + strings.Join(others, ", ")
	}
	place := remark{message: message}
	if len(t.files) == 1 {
		place.file = t.files[0].name
	}
	return nil, []remark{place}
}

// functionVariable finds `var name = func(...) {...}`.
func functionVariable(spec ast.Spec, name string) (*ast.Ident, *ast.FuncLit) {
	values, ok := spec.(*ast.ValueSpec)
	if !ok || len(values.Names) != len(values.Values) {
		return nil, nil
	}
	for i, ident := range values.Names {
		if literal, ok := values.Values[i].(*ast.FuncLit); ok && ident.Name == name {
			return ident, literal
		}
	}
	return nil, nil
}

func (t *tree) fit(name string, f *file, ident *ast.Ident, signature *ast.FuncType, body *ast.BlockStmt) (*handler, []remark) {
	h := &handler{name: name, file: f}
	t.handler = t.remarkOn(f, ident, "")
	refuse := func(node ast.Node, why string) (*handler, []remark) {
		return nil, []remark{t.remarkOn(f, node, "the handler "+name+" "+why+"; "+forms)}
	}
	// The field exists since Go 1.18; this source also compiles with 1.16.
	if generic := reflect.ValueOf(signature).Elem().FieldByName("TypeParams"); generic.IsValid() && !generic.IsNil() {
		return refuse(ident, "has type parameters")
	}
	parameters := flatten(signature.Params)
	if len(parameters) > 2 {
		return refuse(ident, "takes "+strconv.Itoa(len(parameters))+" arguments")
	}
	for _, p := range parameters {
		switch t.resolve(p.kind).(type) {
		case *ast.Ellipsis:
			return refuse(p.kind, "takes any number of arguments")
		case *ast.FuncType, *ast.ChanType:
			return refuse(p.kind, "takes an argument that JSON cannot give")
		}
	}
	if len(parameters) > 0 && t.isGoContext(f, parameters[0].kind) {
		h.context, h.contextFirst = goContext, true
		parameters = parameters[1:]
	}
	if len(parameters) > 0 {
		h.event, h.eventType = t.eventForm(parameters[0], body), parameters[0].kind
	}
	if len(parameters) > 1 {
		second := parameters[1]
		switch kind := second.kind; {
		case h.contextFirst:
			return refuse(kind, "takes two arguments after its context")
		case t.isGoContext(f, kind):
			h.context = goContext
		case t.isMap(kind, t.isString):
			h.context = stringsContext
			if !isUsed(second.name, body) {
				h.context = unusedStrings
			}
		case t.isMap(kind, t.isPlainInterface):
			h.context = valuesContext
			if !isUsed(second.name, body) {
				h.context = unusedValues
			}
		case t.isEmptyInterface(kind):
			h.context = valuesContext
		default:
			return refuse(kind, "takes a second argument that no context fits")
		}
	}
	results := flatten(signature.Results)
	switch {
	case len(results) == 0:
		h.result = noResult
	case len(results) == 1 && t.isPredeclared(results[0].kind, "error"):
		h.result = errorResult
	case len(results) == 1:
		h.result = valueResult
	case len(results) == 2 && t.isPredeclared(results[1].kind, "error"):
		h.result = valueAndErrorResult
	case len(results) == 2:
		return refuse(results[1].kind, "returns a second value that is not an error")
	default:
		return refuse(ident, "returns "+strconv.Itoa(len(results))+" values")
	}
	return h, nil
}

func (t *tree) eventForm(p parameter, body *ast.BlockStmt) eventForm {
	switch {
	case t.isEmptyInterface(p.kind) && !isUsed(p.name, body):
		return unusedEvent
	case t.isEmptyInterface(p.kind):
		return anyEvent
	case t.isMap(p.kind, t.isPlainInterface):
		return objectEvent
	}
	return typedEvent
}

type parameter struct {
	name string
	kind ast.Expr
}

// flatten turns (a, b int) into two parameters.
func flatten(fields *ast.FieldList) []parameter {
	var out []parameter
	if fields == nil {
		return nil
	}
	for _, field := range fields.List {
		if len(field.Names) == 0 {
			out = append(out, parameter{kind: field.Type})
		}
		for _, name := range field.Names {
			out = append(out, parameter{name: name.Name, kind: field.Type})
		}
	}
	return out
}

// isUsed tells whether the body mentions a name at all; one that it declares anew counts as well.
func isUsed(name string, body *ast.BlockStmt) bool {
	if name == "" || name == "_" || body == nil {
		return false
	}
	used := false
	ast.Inspect(body, func(node ast.Node) bool {
		if ident, ok := node.(*ast.Ident); ok && ident.Name == name {
			used = true
		}
		return !used
	})
	return used
}

// declaredType finds a type of the function's own package.
func (t *tree) declaredType(name string) *ast.TypeSpec {
	for _, f := range t.files {
		if object := f.ast.Scope.Lookup(name); object != nil {
			spec, _ := object.Decl.(*ast.TypeSpec)
			return spec
		}
	}
	return nil
}

func (t *tree) isDeclared(name string) bool {
	for _, f := range t.files {
		if f.ast.Scope.Lookup(name) != nil {
			return true
		}
	}
	return false
}

// resolve follows the package's own type names to what they stand for.
func (t *tree) resolve(kind ast.Expr) ast.Expr { return t.follow(kind, false) }

// identical follows aliases only: the type stays the same.
func (t *tree) identical(kind ast.Expr) ast.Expr { return t.follow(kind, true) }

func (t *tree) follow(kind ast.Expr, aliasesOnly bool) ast.Expr {
	for i := 0; i < 100; i++ {
		switch k := kind.(type) {
		case *ast.ParenExpr:
			kind = k.X
		case *ast.Ident:
			spec := t.declaredType(k.Name)
			if spec == nil || aliasesOnly && !spec.Assign.IsValid() {
				return kind
			}
			kind = spec.Type
		default:
			return kind
		}
	}
	return kind
}

func (t *tree) isPredeclared(kind ast.Expr, name string) bool {
	ident, ok := t.identical(kind).(*ast.Ident)
	return ok && ident.Name == name && !t.isDeclared(name)
}

func (t *tree) isString(kind ast.Expr) bool { return t.isPredeclared(kind, "string") }

// isEmptyInterface tells what an interface{} can be assigned to.
func (t *tree) isEmptyInterface(kind ast.Expr) bool { return t.isPlainInterface(t.resolve(kind)) }

// isPlainInterface tells interface{} itself, under whatever alias, from types that are defined as one: a map of those is
// another type of map.
func (t *tree) isPlainInterface(kind ast.Expr) bool {
	kind = t.identical(kind)
	if i, ok := kind.(*ast.InterfaceType); ok {
		return i.Methods == nil || len(i.Methods.List) == 0
	}
	return t.isPredeclared(kind, "any")
}

func (t *tree) isMap(kind ast.Expr, value func(ast.Expr) bool) bool {
	m, ok := t.resolve(kind).(*ast.MapType)
	return ok && t.isString(m.Key) && value(m.Value)
}

func (t *tree) isGoContext(f *file, kind ast.Expr) bool {
	selector, ok := t.resolve(kind).(*ast.SelectorExpr)
	if !ok || selector.Sel.Name != "Context" {
		return false
	}
	ident, ok := selector.X.(*ast.Ident)
	return ok && f.imports[ident.Name] == "context"
}

// sourceOf gives a node as the user wrote it.
func (t *tree) sourceOf(f *file, node ast.Node) string {
	return string(f.parsedText()[t.offset(node.Pos()):t.offset(node.End())])
}
