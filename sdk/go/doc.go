// Package taskyard has workers and clients of Taskyard, a distributed task scheduler.
package taskyard
