package workflows

import (
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/tandem-sync/tandem"
)

// The search attributes of a run that waits, keywords all three. A run that goes about its work has none of them.
var (
	AttributeState      = temporal.NewSearchAttributeKeyKeyword("TandemState")      // retrying or parked
	AttributeProvider   = temporal.NewSearchAttributeKeyKeyword("TandemProvider")   // whom it waits for
	AttributeErrorClass = temporal.NewSearchAttributeKeyKeyword("TandemErrorClass") // why
)

// standing is what a waiting run is found by; the zero value is that of a run that does not wait.
type standing struct {
	state    tandem.MappingState
	provider string
	class    tandem.Class
}

func stands(state tandem.MappingState, provider string, failure *tandem.LastError) standing {
	if state == "" || failure == nil {
		return standing{}
	}
	return standing{state, provider, failure.Class}
}

// sign keeps the search attributes true. An attribute that the namespace does not know fails the workflow task, over and
// over, so nothing is set unless the worker says that all are known. It is asked each time, and its answer and the
// attributes are one workflow task: should it have been wrong, the task is undone with the answer, and the worker, which
// looks at the namespace again and again, is asked anew.
type sign struct {
	known AttributesKnown
	shown standing
}

// AttributesKnown says whether the namespace knows the search attributes. Workflows ask the one in their context; without
// it, they set none.
type AttributesKnown func() bool

type knownKey struct{}

// In returns the context of a workflow that asks k.
func (k AttributesKnown) In(ctx workflow.Context) workflow.Context {
	return workflow.WithValue(ctx, knownKey{}, k)
}

func newSign(ctx workflow.Context) sign {
	s := sign{known: func() bool { return false }}
	if known, ok := ctx.Value(knownKey{}).(AttributesKnown); ok {
		s.known = known
	}
	inherited := workflow.GetTypedSearchAttributes(ctx) // of the run that this one continues
	state, _ := inherited.GetKeyword(AttributeState)
	class, _ := inherited.GetKeyword(AttributeErrorClass)
	s.shown.provider, _ = inherited.GetKeyword(AttributeProvider)
	s.shown.state, s.shown.class = tandem.MappingState(state), tandem.Class(class)
	return s
}

// show writes to the history only if something has changed: a run that never waits pays nothing.
func (s *sign) show(ctx workflow.Context, now standing) {
	if now == s.shown || workflow.GetVersion(ctx, changeSearchAttributes, workflow.DefaultVersion, 1) == workflow.DefaultVersion {
		return
	}
	var known bool
	err := workflow.MutableSideEffectWithOptions(ctx, "search attributes known", workflow.MutableSideEffectOptions{Summary: "are the search attributes registered?"},
		func(workflow.Context) any { return s.known() },
		func(a, b any) bool { return a == b }).Get(&known)
	if err == nil && known {
		err = workflow.UpsertTypedSearchAttributes(ctx, now.updates()...)
	}
	if err != nil {
		workflow.GetLogger(ctx).Error("workflow.not_findable", "error", err)
		return
	}
	if known {
		s.shown = now
	}
}

func (s standing) updates() []temporal.SearchAttributeUpdate {
	if s == (standing{}) {
		return []temporal.SearchAttributeUpdate{AttributeState.ValueUnset(), AttributeProvider.ValueUnset(), AttributeErrorClass.ValueUnset()}
	}
	return []temporal.SearchAttributeUpdate{
		AttributeState.ValueSet(string(s.state)), AttributeProvider.ValueSet(s.provider), AttributeErrorClass.ValueSet(string(s.class)),
	}
}
