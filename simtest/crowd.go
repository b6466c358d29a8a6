package simtest

import (
	"slices"
	"sync"

	"pgregory.net/rapid"
)

// crowdKinds are what everybody does at once, beside what the story is about: whole pages cross everything else.
var crowdKinds = []string{"page", "page", "page", "archive", "delete", "local"}

// Crowd draws this story about several customers and has several workers act it out at the same time, so that their
// transactions meet on the same rows and on each other's. The store is a real one. No act may end in an error, not even
// one that trying again would help, and in the end everything holds that holds for one worker.
func (s Story) Crowd(t *rapid.T, store Store, workers int) {
	w := newWorld(t.Context(), s.policy, store)
	w.strict, w.remote.skew, w.remote.quiet = true, s.skew, false
	drawn := rapid.SliceOfN(steps(slices.Concat(s.kinds, crowdKinds)), 20, 60).Draw(t, "steps")
	for i := range drawn {
		drawn[i].Break = NoFault
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	fromPlatform(2, false)(w, NoFault)
	fromProvider(3, false)(w, NoFault)
	w.together(workers, func(n int) {
		for i := n; i < len(drawn) && w.failure == ""; i += workers {
			w.step(drawn[i])
		}
	})
	w.stop(t)
	for _, stage := range []func(){w.lookAgain, w.check, w.checkRest} {
		w.together(workers, w.settleWith)
		w.stop(t)
		stage()
		w.stop(t)
	}
}

// together has the workers act at once. The world is locked before and after, and free while they work.
func (w *world) together(workers int, work func(n int)) {
	w.changed = sync.NewCond(&w.mu)
	w.mu.Unlock()
	defer w.mu.Lock()
	var all sync.WaitGroup
	for n := range workers {
		all.Go(func() {
			w.mu.Lock()
			defer w.mu.Unlock()
			work(n)
		})
	}
	all.Wait()
}

// settleWith is settle for one worker of several: with nothing left for it, it waits for what the others' acts bring.
func (w *world) settleWith(n int) {
	defer w.changed.Broadcast()
	for range actsToRest {
		acts := w.left()
		for len(acts) == 0 && w.underWay > 0 && w.failure == "" {
			w.changed.Wait()
			acts = w.left()
		}
		if len(acts) == 0 || w.failure != "" {
			return
		}
		w.remote.now = w.remote.now.Add(settleStep)
		acts[n%len(acts)]()
		w.changed.Broadcast()
	}
	w.fail("it never comes to rest")
}
