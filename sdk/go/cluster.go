package taskyard

import (
	"context"
	"time"

	"github.com/taskyard/taskyard/sdk/go/taskyardpb"
)

// WorkerInfo is a connected worker. Slots is how many tasks it runs at once, Running how many it runs now.
//
// SessionID is a public name of its session, as an attempt of it has it too.
type WorkerInfo struct {
	SessionID   string
	Name        string
	Namespace   string
	Labels      map[string]string
	Queues      []string
	Types       []string
	Slots       int
	Running     int
	Pod         string
	Dispatcher  string
	SDK         string
	PID         int64
	ConnectedAt time.Time
	Draining    bool
}

// LeaderInfo is the leading dispatcher. Term rises with each election.
type LeaderInfo struct {
	ID   string
	Term int64
	PID  int64
	Pod  string
}

// DispatcherInfo is a live dispatcher. Workers open sessions at SessionAddress; HTTPAddress has metrics and health.
type DispatcherInfo struct {
	ID             string
	PID            int64
	Pod            string
	SessionAddress string
	HTTPAddress    string
	Version        string
	Leader         bool
	StartedAt      time.Time
}

// ClusterInfo is the cluster's members. Leader is nil while there is none.
type ClusterInfo struct {
	Version     string
	Leader      *LeaderInfo
	Dispatchers []DispatcherInfo
}

// Workers are the namespace's connected workers, by name, in as many calls as it takes.
func (c *Client) Workers(ctx context.Context) ([]WorkerInfo, error) {
	var found []WorkerInfo
	request := &taskyardpb.ListWorkersRequest{Namespace: c.namespace}
	for {
		page := &taskyardpb.ListWorkersResponse{}
		if err := c.calls.ask(ctx, taskyardpb.ClusterService_ListWorkers_FullMethodName, request, page); err != nil {
			return nil, err
		}
		for _, told := range page.Workers {
			found = append(found, workerOf(told))
		}
		if request.PageToken = page.NextPageToken; request.PageToken == "" {
			return found, nil
		}
	}
}

// Cluster is the cluster's version, leader and dispatchers.
func (c *Client) Cluster(ctx context.Context) (ClusterInfo, error) {
	told := &taskyardpb.Cluster{}
	method := taskyardpb.ClusterService_GetCluster_FullMethodName
	if err := c.calls.ask(ctx, method, &taskyardpb.GetClusterRequest{}, told); err != nil {
		return ClusterInfo{}, err
	}
	return clusterOf(told), nil
}

func workerOf(told *taskyardpb.Worker) WorkerInfo {
	return WorkerInfo{
		SessionID: told.SessionId, Name: told.Name, Namespace: told.Namespace, Labels: told.Labels,
		Queues: told.Queues, Types: told.Types, Slots: int(told.Slots), Running: int(told.Running), Pod: told.Pod,
		Dispatcher: told.Dispatcher, SDK: told.Sdk, PID: told.Pid, ConnectedAt: moment(told.ConnectedAt),
		Draining: told.Draining,
	}
}

func clusterOf(told *taskyardpb.Cluster) ClusterInfo {
	cluster := ClusterInfo{Version: told.Version}
	if leader := told.Leader; leader != nil {
		cluster.Leader = &LeaderInfo{leader.Id, leader.Term, leader.Pid, leader.Pod}
	}
	for _, each := range told.Dispatchers {
		cluster.Dispatchers = append(cluster.Dispatchers, DispatcherInfo{
			ID: each.Id, PID: each.Pid, Pod: each.Pod, SessionAddress: each.SessionAddress,
			HTTPAddress: each.HttpAddress, Version: each.Version, Leader: each.Leader,
			StartedAt: moment(each.StartedAt),
		})
	}
	return cluster
}
