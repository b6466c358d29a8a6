package stripetest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"time"
)

// saveEvery is the least time between two background saves.
const saveEvery = time.Second

// saveChanges runs until Close. On a large account it spends at most a tenth
// of its time saving.
func (s *Server) saveChanges() {
	for {
		select {
		case <-s.unsaved:
		case <-s.ctx.Done():
			return // Close saves once more
		}
		began := time.Now()
		if s.saveOrLog() != nil {
			s.markUnsaved() // try again
		}
		s.pause(s.ctx, max(saveEvery, 10*time.Since(began)))
	}
}

// markUnsaved does nothing without a StateFile: the channel is nil.
func (s *Server) markUnsaved() {
	select {
	case s.unsaved <- struct{}{}:
	default:
	}
}

func (s *Server) saveOrLog() error {
	err := s.save()
	if err != nil {
		s.log.Error("stripe.standin.save_failed", "file", s.opts.StateFile, "error", err)
	}
	return err
}

// save writes StateFile, if there is one. Never two at once: first New or
// Start, then saveChanges, then Close.
func (s *Server) save() error {
	if s.opts.StateFile == "" {
		return nil
	}
	s.mu.Lock()
	im := s.image()
	s.mu.Unlock()
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false) // an emitted object comes back as it was
	err := enc.Encode(im)
	if err == nil {
		err = replaceFile(s.opts.StateFile, b.Bytes())
	}
	if err != nil {
		return fmt.Errorf("stripetest: save state: %w", err)
	}
	return nil
}

// replaceFile leaves the old content or the new, never a part. The file holds
// secrets: only its owner may read it.
func replaceFile(path string, content []byte) error {
	temp := path + ".tmp" // one name, so that a kill leaves one file behind at most
	_ = os.Remove(temp)
	f, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err == nil {
		err = f.Sync()
	}
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err == nil {
		err = os.Rename(temp, path)
	}
	if err != nil {
		_ = os.Remove(temp)
	}
	return err
}
