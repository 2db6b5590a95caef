package swarm

import (
	"context"
	"io"
	"net/rpc"
	"net/rpc/jsonrpc"
	"sync"

	"github.com/docker/docker/api/types"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/pkg/stdcopy"
)

// A peer is a helper that lives in the network of a task, and asks there.
type peer struct {
	id     string // its container's
	client *rpc.Client
	gone   <-chan struct{} // closed once nothing more comes from it
}

// peers are those of an app, by the container of the task.
type peers struct {
	mu   sync.Mutex
	byID map[string]*peer
}

func (p *peers) forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, peer := range p.byID {
		peer.client.Close()
	}
	p.byID = nil
}

// peer returns a helper in the network of a task's container, and removes
// those of containers that have ended.
func (a *App) peer(ctx context.Context, of string) (*peer, error) {
	a.peers.mu.Lock()
	defer a.peers.mu.Unlock()
	if p := a.peers.byID[of]; p != nil {
		select {
		case <-p.gone:
		default:
			return p, nil
		}
	}
	for other, p := range a.peers.byID {
		if other == of || a.ended(ctx, other) {
			a.drop(ctx, p)
			delete(a.peers.byID, other)
		}
	}
	p, err := a.startPeer(ctx, of)
	if err != nil {
		return nil, err
	}
	if a.peers.byID == nil {
		a.peers.byID = map[string]*peer{}
	}
	a.peers.byID[of] = p
	return p, nil
}

func (a *App) startPeer(ctx context.Context, of string) (*peer, error) {
	id, err := a.createHelper(ctx, helper{role: "ask", argv: a.Helper.Ask, stdin: true,
		host: &container.HostConfig{NetworkMode: container.NetworkMode("container:" + of)}})
	if err != nil {
		return nil, err
	}
	conn, err := a.cli.ContainerAttach(ctx, id, container.AttachOptions{Stream: true, Stdin: true, Stdout: true})
	if err != nil {
		a.discard(ctx, id)
		return nil, fault(ctx, "attach to a helper container", err)
	}
	if err := a.cli.ContainerStart(ctx, id, container.StartOptions{}); err != nil {
		conn.Close()
		a.discard(ctx, id)
		return nil, fault(ctx, "start a helper container", err)
	}
	answers, gone := answersOf(conn)
	return &peer{id, jsonrpc.NewClient(dialogue{answers, conn.Conn}), gone}, nil
}

// drop removes a peer, whether or not ctx has ended, and ends what it was asked.
func (a *App) drop(ctx context.Context, p *peer) error {
	p.client.Close()
	return a.discard(ctx, p.id)
}

// answersOf is what comes out of a container, and a channel that is closed when
// nothing more does.
func answersOf(conn types.HijackedResponse) (io.Reader, <-chan struct{}) {
	reader, writer := io.Pipe()
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		_, err := stdcopy.StdCopy(writer, io.Discard, conn.Reader)
		writer.CloseWithError(err)
	}()
	return reader, gone
}

// A dialogue is what a container says, and what it is told.
type dialogue struct {
	io.Reader
	io.WriteCloser // closed, both end
}
