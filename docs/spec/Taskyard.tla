------------------------------ MODULE Taskyard ------------------------------
(* How a task gets from its submit to its one outcome, whatever crashes on the way. README.md says what is modelled,   *)
(* what is left out and how it is checked. Actions bear the names of the code: the comment before each says which.     *)

EXTENDS Naturals, FiniteSets, TLC

CONSTANTS
    Tasks,          \* task ids
    Workers,        \* worker processes; each is one session for its whole life
    Dispatchers,
    Slots,          \* of each worker
    MaxFailures,    \* a task's budgets
    MaxCrashes,
    Faults,         \* how often something breaks
    Asks,           \* how often a client asks for something, or a task expires
    FaultKinds,     \* which faults may happen
    AskKinds,       \* which of "cancel", "expire", "redrive"
    Removed         \* guards that are taken out, to see that the checker misses them

None == "none"
Api == "api"        \* a scheduler process, as a publisher
Waiting == {"SCHEDULED", "QUEUED"}
Terminal == {"SUCCEEDED", "FAILED", "CANCELLED", "EXPIRED"}
Guarded(guard) == guard \notin Removed

VARIABLES
    (* Postgres *)
    task,           \* the row of each task
    session,        \* the row of each session: generation, live, and the dispatcher that answers for it (None: it is gone)
    outbox,         \* entries (task, attempt) that may not be in the lanes yet
    term,           \* leader.term
    noted,          \* leader.lane_epoch
    (* Redis *)
    fresh,          \* entries (task, attempt) that nobody has read; doubles are one
    pending,        \* entries that a dispatcher has read and not acknowledged
    epoch,          \* 0 after a wipe
    (* etcd *)
    elected,        \* the newest election
    replaced,       \* the election in which etcd was replaced (0: it was not): revisions of later ones lie below all terms
    (* dispatchers' memory; lost when they crash *)
    roster,         \* sessions held: generation (0: none) and the attempts they run as far as is known
    hand,           \* the lane entry that is being dealt with
    reports,        \* what workers reported and is not committed yet
    publishing,     \* committed entries that are to be published, or whose outbox row is to be forgotten
    leading,        \* the election a dispatcher believes in (0: none), its term (0: not numbered), whether that has begun
    refill,         \* the epoch that a leader has begun, and whether all is published in it
    (* workers *)
    alive,
    link,           \* the stream: dispatcher and generation
    running,        \* attempts that run
    unacked,        \* attempts that ended, with their outcome, until acknowledged
    settled,        \* attempts that were acknowledged
    (* budgets, and what only the properties look at *)
    faults, asks,
    wrong           \* what single steps did that must not be

postgres == <<task, session, outbox, term, noted>>
redis == <<fresh, pending, epoch>>
memory == <<roster, hand, reports, publishing, leading, refill>>
worker == <<alive, link, running, unacked, settled>>
etcd == <<elected, replaced>>
vars == <<postgres, redis, etcd, memory, worker, faults, asks, wrong>>

-----------------------------------------------------------------------------
(* Events: what each makes of a row, as decide() in taskyard_core/domain/transitions.py and apply.sql say. *)

Ended(row, state) == [row EXCEPT !.state = state]

Again(row, crashes, owner) ==
    IF row.cancel THEN [Ended(row, "CANCELLED") EXCEPT !.crashes = crashes]
    ELSE [row EXCEPT !.state = "QUEUED", !.crashes = crashes, !.session = owner]

Succeeded(row) == Ended(row, "SUCCEEDED")

Failed(row) ==
    LET counted == [row EXCEPT !.failures = @ + 1] IN
    IF row.cancel THEN Ended(counted, "CANCELLED")
    ELSE IF counted.failures > MaxFailures THEN Ended(counted, "FAILED")
    ELSE [counted EXCEPT !.state = "SCHEDULED", !.session = None]

Released(row) == Again(row, row.crashes, None)

Stopped(row) == IF row.cancel THEN Ended(row, "CANCELLED") ELSE Released(row)

\* The owner stays: until somebody claims the task again, its success still counts.
Lost(row) ==
    IF ~row.cancel /\ row.crashes + 1 > MaxCrashes
    THEN [Ended(row, "FAILED") EXCEPT !.crashes = @ + 1]
    ELSE Again(row, row.crashes + 1, row.session)

Due(row) == [row EXCEPT !.state = "QUEUED"]
Cancelled(row) == Ended(row, "CANCELLED")
Expired(row) == Ended(row, "EXPIRED")
Redriven(row) == [row EXCEPT !.state = "QUEUED", !.failures = 0, !.crashes = 0, !.session = None]

Event(outcome, row) ==
    CASE outcome = "Succeeded" -> Succeeded(row)
      [] outcome = "Failed" -> Failed(row)
      [] outcome = "Stopped" -> Stopped(row)
      [] outcome = "Released" -> Released(row)

-----------------------------------------------------------------------------
(* Words that the actions share. *)

Entry(t) == <<t, task[t].attempt>>
NoHand == [entry |-> <<>>, worker |-> None, generation |-> 0, phase |-> None]
NoSession == [generation |-> 0, runs |-> {}]
NoTerm == [election |-> 0, number |-> 0, begun |-> FALSE]
NoRefill == [epoch |-> 0, full |-> FALSE]
NoLink == [dispatcher |-> None, generation |-> 0]

\* Frames get through from a dispatcher's session to its worker and back.
Connected(d, w, generation) ==
    generation > 0 /\ alive[w] /\ link[w] = [dispatcher |-> d, generation |-> generation]
InTouch(d, w) == Connected(d, w, roster[d][w].generation)

Free(d, w) ==
    /\ roster[d][w].generation > 0
    /\ Cardinality(roster[d][w].runs) + (IF hand[d].worker = w THEN 1 ELSE 0) < Slots

Runs(w) == {Entry(t) : t \in {t \in Tasks : task[t].state = "RUNNING" /\ task[t].session = w}}

Known(w) == running[w] \cup {result[1] : result \in unacked[w]} \cup settled[w]

\* Rows change, and those that are QUEUED by that are named in the outbox and published by whoever committed.
Commit(rows, who) ==
    LET queued == {<<t, rows[t].attempt>> : t \in {t \in Tasks : rows[t].state = "QUEUED" /\ task[t].state # "QUEUED"}} IN
    /\ task' = rows
    /\ outbox' = outbox \cup queued
    /\ publishing' = publishing \cup {<<entry, who>> : entry \in queued}

\* A duty's transaction: it locks the leader's row under its own term, or stops.
DutyDoing(d, harm) ==
    /\ leading[d].begun
    /\ Guarded("term fence") => leading[d].number = term
    /\ wrong' = wrong \cup harm \cup (IF leading[d].number < term THEN {"old term"} ELSE {})

Duty(d) == DutyDoing(d, {})

\* A completed attempt gives way: the session object, if it is still the same, has a slot free.
Forgotten(d, w, generation, attempt) ==
    IF roster[d][w].generation = generation
    THEN [roster EXCEPT ![d][w].runs = @ \ {attempt}] ELSE roster

Fault(kind) == kind \in FaultKinds /\ faults > 0 /\ faults' = faults - 1
Ask(kind) == kind \in AskKinds /\ asks > 0 /\ asks' = asks - 1

-----------------------------------------------------------------------------
(* Publication: from the outbox to the lanes. *)

\* code: taskyard_core.aftermath.publication.Publication.publish
PublicationPublish ==
    \E p \in publishing :
        /\ fresh' = fresh \cup {p[1]}
        /\ outbox' = outbox \ {p[1]}
        /\ publishing' = publishing \ {p}
        /\ UNCHANGED <<task, session, term, noted, pending, epoch, etcd, roster, hand, reports, leading, refill,
                       worker, faults, asks, wrong>>

\* What is QUEUED is published with its attempt of now; the row of what is not is just forgotten.
\* code: taskyard_dispatcher.duties.outbox.OutboxDuty.run_once
OutboxDuty(d) ==
    /\ Guarded("outbox sweep")
    /\ \E row \in outbox :
        /\ Duty(d)
        /\ outbox' = outbox \ {row}
        /\ fresh' = IF task[row[1]].state = "QUEUED" THEN fresh \cup {Entry(row[1])} ELSE fresh
    /\ UNCHANGED <<task, session, term, noted, pending, epoch, etcd, memory, worker, faults, asks>>

-----------------------------------------------------------------------------
(* Dispatch: take, claim, send, acknowledge or give back. *)

Hold(d, entry, w) ==
    hand' = [hand EXCEPT ![d] = [entry |-> entry, worker |-> w, generation |-> roster[d][w].generation,
                                 phase |-> "taken"]]

\* code: taskyard_core.storage.redis.lanes.LaneStore.take
LaneTake(d) ==
    \E entry \in fresh, w \in Workers :
        /\ hand[d] = NoHand
        /\ Free(d, w)
        /\ Hold(d, entry, w)
        /\ fresh' = fresh \ {entry}
        /\ pending' = pending \cup {<<entry, d>>}
        /\ UNCHANGED <<postgres, epoch, etcd, roster, reports, publishing, leading, refill, worker, faults, asks,
                       wrong>>

InHand(p) == hand[p[2]].entry = p[1]

TakeOver(d, p) ==
    \E w \in Workers :
        /\ hand[d] = NoHand
        /\ Free(d, w)
        /\ Hold(d, p[1], w)
        /\ pending' = (pending \ {p}) \cup {<<p[1], d>>}
        /\ UNCHANGED <<postgres, fresh, epoch, etcd, roster, reports, publishing, leading, refill, worker, asks,
                       wrong>>

\* Entries that somebody read and does not deal with any more.
\* code: taskyard_core.storage.redis.lanes.LaneStore.reclaim
LaneReclaim(d) ==
    /\ Guarded("reclaim")
    /\ \E p \in pending : ~InHand(p) /\ TakeOver(d, p)
    /\ UNCHANGED faults

Claimable(h) ==
    LET row == task[h.entry[1]] IN
    /\ row.state = "QUEUED"
    /\ row.attempt = h.entry[2]
    /\ Guarded("live at claim") => session[h.worker].live
    /\ Guarded("generation at claim") => session[h.worker].generation = h.generation

Raised(attempt) == IF Guarded("attempt + 1 at claim") THEN attempt + 1 ELSE attempt

RunBy(d) ==
    LET h == hand[d]
        t == h.entry[1] IN
    /\ Claimable(h)
    /\ task' = [task EXCEPT ![t].state = "RUNNING", ![t].session = h.worker, ![t].attempt = Raised(@)]

\* code: taskyard_core/storage/postgres/queries/claim.sql
Claim(d) ==
    /\ hand[d].phase = "taken"
    /\ IF Claimable(hand[d])
       THEN RunBy(d) /\ hand' = [hand EXCEPT ![d].phase = "claimed"]
       ELSE hand' = [hand EXCEPT ![d].phase = "refused"] /\ UNCHANGED task
    /\ UNCHANGED <<session, outbox, term, noted, redis, etcd, roster, reports, publishing, leading, refill, worker,
                   faults, asks, wrong>>

\* The session takes it; the worker has it if its stream still is this one. The entry is acknowledged.
\* code: taskyard_dispatcher.dispatch.pipeline.Claiming.send
ClaimingSend(d) ==
    LET h == hand[d]
        attempt == <<h.entry[1], Raised(h.entry[2])>> IN
    /\ h.phase = "claimed"
    /\ roster' = IF roster[d][h.worker].generation = h.generation
                 THEN [roster EXCEPT ![d][h.worker].runs = @ \cup {attempt}] ELSE roster
    /\ running' = IF Connected(d, h.worker, h.generation) /\ attempt \notin Known(h.worker)
                  THEN [running EXCEPT ![h.worker] = @ \cup {attempt}] ELSE running
    /\ pending' = pending \ {<<h.entry, d>>}
    /\ hand' = [hand EXCEPT ![d] = NoHand]
    /\ UNCHANGED <<postgres, fresh, epoch, etcd, reports, publishing, leading, refill, alive, link, unacked,
                   settled, faults, asks, wrong>>

\* An entry that was not claimed: dead ones are forgotten. If it still is to be run, the session's generation is over,
\* and the entry goes back for whoever can take it, unless it was reclaimed or wiped meanwhile.
\* code: taskyard_dispatcher.dispatch.sources.LaneSource._dispose
LaneSourceDispose(d) ==
    LET h == hand[d]
        row == task[h.entry[1]]
        waits == row.state = "QUEUED" /\ row.attempt = h.entry[2] IN
    /\ h.phase = "refused"
    /\ hand' = [hand EXCEPT ![d] = NoHand]
    /\ pending' = pending \ {<<h.entry, d>>}
    /\ fresh' = IF waits /\ Guarded("give back") /\ <<h.entry, d>> \in pending THEN fresh \cup {h.entry} ELSE fresh
    /\ IF waits /\ roster[d][h.worker].generation = h.generation
       THEN /\ roster' = [roster EXCEPT ![d][h.worker] = NoSession]
            /\ link' = IF InTouch(d, h.worker) THEN [link EXCEPT ![h.worker] = NoLink] ELSE link
       ELSE UNCHANGED <<roster, link>>
    /\ UNCHANGED <<postgres, epoch, etcd, reports, publishing, leading, refill, alive, running, unacked, settled,
                   faults, asks, wrong>>

-----------------------------------------------------------------------------
(* Workers: run, report, say hello. *)

\* code: taskyard.worker.session_state.SessionState.finish
SessionFinish(w) ==
    \E attempt \in running[w], outcome \in {"Succeeded", "Failed", "Stopped"} :
        /\ alive[w]
        /\ outcome = "Stopped" => task[attempt[1]].cancel
        /\ running' = [running EXCEPT ![w] = @ \ {attempt}]
        /\ unacked' = [unacked EXCEPT ![w] = @ \cup {<<attempt, outcome>>}]
        /\ UNCHANGED <<postgres, redis, etcd, memory, alive, link, settled, faults, asks, wrong>>

\* A dispatcher takes a result in. But for a success, it has to know the attempt.
\* code: taskyard_dispatcher.outcomes.completion.Completion.report
CompletionReport(w) ==
    LET d == link[w].dispatcher
        generation == link[w].generation IN
    /\ d # None /\ alive[w]
    /\ roster[d][w].generation = generation
    /\ \E result \in unacked[w] :
        LET report == [worker |-> w, dispatcher |-> d, generation |-> generation, attempt |-> result[1],
                       outcome |-> result[2],
                       known |-> result[2] = "Succeeded" \/ result[1] \in roster[d][w].runs] IN
        /\ report \notin reports
        /\ reports' = reports \cup {report}
    /\ UNCHANGED <<postgres, redis, etcd, roster, hand, publishing, leading, refill, worker, faults, asks, wrong>>

Holds(report, row) ==
    /\ report.known
    /\ row.session = report.worker
    /\ Guarded("attempt at completion") => row.attempt = report.attempt[2]
    /\ Guarded("state at completion") =>
        row.state = "RUNNING" \/ (row.state = "QUEUED" /\ report.outcome = "Succeeded")

\* The outcome is committed where it still holds, and the worker hears the verdict if its stream still is this one.
\* code: taskyard_core/storage/postgres/queries/apply.sql
Apply ==
    \E report \in reports :
        LET t == report.attempt[1]
            w == report.worker
            accepted == Holds(report, task[t])
            heard == Connected(report.dispatcher, w, report.generation) IN
        /\ reports' = reports \ {report}
        /\ IF accepted
           THEN /\ Commit([task EXCEPT ![t] = Event(report.outcome, @)], report.dispatcher)
                /\ wrong' = IF task[t].attempt # report.attempt[2] THEN wrong \cup {"older attempt"} ELSE wrong
           ELSE UNCHANGED <<task, outbox, publishing, wrong>>
        /\ roster' = Forgotten(report.dispatcher, w, report.generation, report.attempt)
        /\ IF heard
           THEN /\ unacked' = [unacked EXCEPT ![w] = {result \in @ : result[1] # report.attempt}]
                /\ settled' = [settled EXCEPT ![w] = @ \cup {report.attempt}]
           ELSE UNCHANGED <<unacked, settled>>
        /\ UNCHANGED <<session, term, noted, redis, etcd, hand, leading, refill, alive, link, running, faults, asks>>

\* Adoption, first half: the session is this dispatcher's from now on.
\* code: taskyard_core/storage/postgres/queries/session_hello.sql
SessionHello(w, d) ==
    LET generation == session[w].generation + (IF Guarded("generation bump") THEN 1 ELSE 0) IN
    /\ alive[w] /\ link[w] = NoLink
    /\ session' = [session EXCEPT ![w] = [generation |-> generation, live |-> TRUE, dispatcher |-> d]]
    /\ link' = [link EXCEPT ![w] = [dispatcher |-> d, generation |-> generation]]
    /\ roster' = [roster EXCEPT ![d][w] = NoSession]
    /\ UNCHANGED <<task, outbox, term, noted, redis, etcd, hand, reports, publishing, leading, refill, alive,
                   running, unacked, settled, faults, asks, wrong>>

\* Second half: hold the rows it runs, resend what the worker lacks, stop what is not its own any more.
\* code: taskyard_dispatcher.gateway.adoption.Adoption.welcome
AdoptionWelcome(w) ==
    LET d == link[w].dispatcher IN
    /\ d # None /\ alive[w]
    /\ roster[d][w].generation = 0
    /\ roster' = [roster EXCEPT ![d][w] = [generation |-> link[w].generation, runs |-> Runs(w)]]
    /\ running' = [running EXCEPT ![w] = (@ \cap Runs(w)) \cup
                    (IF Guarded("resend at adoption") THEN Runs(w) \ Known(w) ELSE {})]
    /\ UNCHANGED <<postgres, redis, etcd, hand, reports, publishing, leading, refill, alive, link, unacked, settled,
                   faults, asks, wrong>>

\* What a claim whose answer was lost left RUNNING.
\* code: taskyard_dispatcher.outcomes.upkeep.Upkeep._resend
UpkeepResend(d, w) ==
    LET lacking == Runs(w) \ roster[d][w].runs IN
    /\ Guarded("resend by upkeep")
    /\ roster[d][w].generation > 0
    \* Rows of a claim just made are too young.
    /\ ~(hand[d].worker = w /\ hand[d].phase = "claimed")
    /\ lacking # {}
    /\ roster' = [roster EXCEPT ![d][w].runs = @ \cup lacking]
    /\ running' = IF InTouch(d, w) THEN [running EXCEPT ![w] = @ \cup (lacking \ Known(w))] ELSE running
    /\ UNCHANGED <<postgres, redis, etcd, hand, reports, publishing, leading, refill, alive, link, unacked, settled,
                   faults, asks, wrong>>

\* A session that was given up, or adopted elsewhere; a worker that is still here is sent away.
\* code: taskyard_dispatcher.outcomes.upkeep.Upkeep._renounce
UpkeepRenounce(d, w) ==
    /\ roster[d][w].generation > 0
    /\ ~session[w].live \/ session[w].generation # roster[d][w].generation
    /\ roster' = [roster EXCEPT ![d][w] = NoSession]
    /\ link' = IF InTouch(d, w) THEN [link EXCEPT ![w] = NoLink] ELSE link
    /\ UNCHANGED <<postgres, redis, etcd, hand, reports, publishing, leading, refill, alive, running, unacked,
                   settled, faults, asks, wrong>>

-----------------------------------------------------------------------------
(* Loss: a session is given up, and all it runs is queued again in the same transaction. *)

SessionEnd(w, generation, who) ==
    IF session[w].live /\ session[w].generation = generation
    THEN /\ session' = [session EXCEPT ![w].live = FALSE]
         /\ Commit([t \in Tasks |-> IF task[t].state = "RUNNING" /\ task[t].session = w THEN Lost(task[t]) ELSE task[t]],
                   who)
    ELSE UNCHANGED <<session, task, outbox, publishing>>

\* The dispatcher that saw the stream break, after the grace.
\* code: taskyard_dispatcher.outcomes.loss.Loss.lose
LossLose(d, w) ==
    /\ roster[d][w].generation > 0
    /\ ~InTouch(d, w)
    /\ SessionEnd(w, roster[d][w].generation, d)
    /\ wrong' = IF session'[w] # session[w] /\ alive[w] /\ link[w] # NoLink
                THEN wrong \cup {"adopted session lost"} ELSE wrong
    /\ roster' = [roster EXCEPT ![d][w] = NoSession]
    /\ UNCHANGED <<term, noted, redis, etcd, hand, reports, leading, refill, worker, faults, asks>>

Held(w) == \E d \in Dispatchers : roster[d][w].generation = session[w].generation

\* While a hello is being answered, the session is too young.
Greeting(w) == alive[w] /\ link[w].generation = session[w].generation /\ ~Held(w)

\* A dispatcher answers for all sessions that name it: those that it does not hold, it gives up.
\* code: taskyard_dispatcher.membership.vouching.Vouching._give_up_strays
VouchingGiveUpStrays(d, w) ==
    /\ Guarded("strays")
    /\ session[w].live /\ session[w].dispatcher = d
    /\ roster[d][w].generation # session[w].generation /\ ~Greeting(w)
    /\ SessionEnd(w, session[w].generation, d)
    /\ UNCHANGED <<term, noted, redis, etcd, roster, hand, reports, leading, refill, worker, faults, asks, wrong>>

\* The leader, for a session that is not in etcd, and that no dispatcher answers for in Postgres. Registrations that are
\* lost with etcd may never come back.
\* code: taskyard_dispatcher.duties.reaping.Reaping.run_once
Reaping(d, w) ==
    /\ Guarded("reaping")
    /\ session[w].live /\ ~Greeting(w)
    /\ replaced > 0 \/ ~Held(w)
    /\ Guarded("vouching") => session[w].dispatcher = None
    /\ DutyDoing(d, IF \E other \in Dispatchers : InTouch(other, w) /\ Held(w) THEN {"healthy session lost"} ELSE {})
    /\ SessionEnd(w, session[w].generation, d)
    /\ UNCHANGED <<term, noted, redis, etcd, roster, hand, reports, leading, refill, worker, faults, asks>>

-----------------------------------------------------------------------------
(* The leader: its term and its other duties. *)

Elected(d) == leading[d].election > 0 /\ leading[d].election = elected

Elect(d) ==
    /\ leading' = [leading EXCEPT ![d] = [NoTerm EXCEPT !.election = elected + 1]]
    /\ refill' = [refill EXCEPT ![d] = NoRefill]
    /\ elected' = elected + 1
    /\ UNCHANGED <<postgres, redis, replaced, roster, hand, reports, publishing, worker, asks, wrong>>

\* Nobody leads any more.
\* code: taskyard_dispatcher.leadership.election.Elector
Elector(d) ==
    /\ \A other \in Dispatchers : ~Elected(other)
    /\ Elect(d)
    /\ UNCHANGED faults

Revision(election) == IF replaced > 0 /\ election > replaced THEN 0 ELSE election

\* Its term is the revision at which it was elected, or, where that is below the newest term, the next one, if etcd still
\* says that it holds the election. Once another has begun that number or a later one, it is elected anew.
\* code: taskyard_dispatcher.duties.rota.Rota._number
RotaNumber(d) ==
    LET revision == Revision(leading[d].election)
        next == Guarded("terms outlive etcd") /\ Elected(d) IN
    /\ leading[d].election > 0
    /\ leading[d].number = 0 \/ Elected(d)
    /\ leading[d].number < term \/ (leading[d].number = term /\ ~leading[d].begun)
    /\ revision > term \/ next
    /\ leading' = [leading EXCEPT ![d].number = IF revision > term THEN revision ELSE term + 1, ![d].begun = FALSE]
    /\ refill' = [refill EXCEPT ![d] = NoRefill]
    /\ UNCHANGED <<postgres, redis, etcd, roster, hand, reports, publishing, worker, faults, asks, wrong>>

\* A term that a later one has overtaken is not begun.
\* code: taskyard_core.storage.postgres.leader.LeaderFence.begin
LeaderFenceBegin(d) ==
    /\ leading[d].number > 0 /\ ~leading[d].begun
    /\ leading[d].number > term \/ ~Guarded("terms only rise")
    /\ term' = leading[d].number
    /\ leading' = [leading EXCEPT ![d].begun = TRUE]
    /\ UNCHANGED <<task, session, outbox, noted, redis, etcd, roster, hand, reports, publishing, refill, worker,
                   faults, asks, wrong>>

\* code: taskyard_dispatcher.leadership.term.Term.end
TermEnd(d) ==
    /\ leading[d].election > 0 /\ ~Elected(d)
    /\ leading' = [leading EXCEPT ![d] = NoTerm]
    /\ refill' = [refill EXCEPT ![d] = NoRefill]
    /\ UNCHANGED <<postgres, redis, etcd, roster, hand, reports, publishing, worker, faults, asks, wrong>>

\* code: taskyard_dispatcher.duties.passage.Promotion.run_once
Promotion(d) ==
    /\ \E t \in Tasks :
        /\ task[t].state = "SCHEDULED"
        /\ Duty(d)
        /\ Commit([task EXCEPT ![t] = Due(@)], d)
    /\ UNCHANGED <<session, term, noted, redis, etcd, roster, hand, reports, leading, refill, worker, faults, asks>>

\* code: taskyard_dispatcher.duties.passage.Expiry.run_once
Expiry(d) ==
    /\ Ask("expire")
    /\ \E t \in Tasks :
        /\ task[t].state \in Waiting
        /\ Duty(d)
        /\ task' = [task EXCEPT ![t] = Expired(@)]
    /\ UNCHANGED <<session, outbox, term, noted, redis, etcd, memory, worker, faults>>

Newest == CHOOSE n \in {epoch, noted} \cup {refill[d].epoch : d \in Dispatchers} :
    \A m \in {epoch, noted} \cup {refill[d].epoch : d \in Dispatchers} : n >= m

\* code: taskyard_dispatcher.duties.rebuild.Rebuild._begin
RebuildBegin(d) ==
    /\ Guarded("rebuild")
    /\ epoch = 0 \/ epoch # noted
    /\ refill[d].epoch = 0 \/ refill[d].epoch # epoch
    /\ Duty(d)
    /\ epoch' = Newest + 1
    /\ refill' = [refill EXCEPT ![d] = [epoch |-> Newest + 1, full |-> FALSE]]
    /\ UNCHANGED <<postgres, fresh, pending, etcd, roster, hand, reports, publishing, leading, worker, faults, asks>>

\* Not fenced: entries too many die at their claim.
\* code: taskyard_dispatcher.duties.refill.Refill.advance
RefillAdvance(d) ==
    /\ refill[d].epoch > 0 /\ ~refill[d].full
    /\ refill[d].epoch = epoch
    /\ fresh' = fresh \cup {Entry(t) : t \in {t \in Tasks : task[t].state = "QUEUED"}}
    /\ refill' = [refill EXCEPT ![d].full = TRUE]
    /\ UNCHANGED <<postgres, pending, epoch, etcd, roster, hand, reports, publishing, leading, worker, faults, asks,
                   wrong>>

\* code: taskyard_dispatcher.duties.rebuild.Rebuild._finish
RebuildFinish(d) ==
    /\ refill[d].full
    /\ refill[d].epoch = epoch
    /\ Duty(d)
    /\ noted' = refill[d].epoch
    /\ refill' = [refill EXCEPT ![d] = NoRefill]
    /\ UNCHANGED <<task, session, outbox, term, redis, etcd, roster, hand, reports, publishing, leading, worker,
                   faults, asks>>

-----------------------------------------------------------------------------
(* Clients. *)

\* code: taskyard_scheduler.api.tasks.Tasks.cancel
TasksCancel ==
    /\ Ask("cancel")
    /\ \E t \in Tasks :
        \/ /\ task[t].state \in Waiting
           /\ task' = [task EXCEPT ![t] = Cancelled(@)]
        \/ /\ task[t].state = "RUNNING" /\ ~task[t].cancel
           /\ task' = [task EXCEPT ![t].cancel = TRUE]
    /\ UNCHANGED <<session, outbox, term, noted, redis, etcd, memory, worker, faults, wrong>>

\* code: taskyard_scheduler.api.tasks.Tasks.redrive
TasksRedrive ==
    /\ Ask("redrive")
    /\ \E t \in Tasks :
        /\ task[t].state = "FAILED"
        /\ Commit([task EXCEPT ![t] = Redriven(@)], Api)
    /\ UNCHANGED <<session, term, noted, redis, etcd, roster, hand, reports, leading, refill, worker, faults,
                   wrong>>

\* A worker that was asked to leave hands an attempt back; there is no ack, and a lost one is sent again after a hello.
\* code: taskyard.worker.session_state.SessionState.release
SessionRelease(w) ==
    LET d == link[w].dispatcher IN
    /\ Ask("release")
    /\ alive[w] /\ d # None /\ roster[d][w].generation = link[w].generation
    /\ \E attempt \in running[w] :
        /\ attempt \in roster[d][w].runs
        /\ running' = [running EXCEPT ![w] = @ \ {attempt}]
        /\ \E arrives \in {TRUE, FALSE} :
            \/ /\ arrives
               /\ reports' = reports \cup
                    {[worker |-> w, dispatcher |-> d, generation |-> link[w].generation, attempt |-> attempt,
                      outcome |-> "Released", known |-> TRUE]}
               /\ UNCHANGED <<roster, link>>
            \/ /\ ~arrives
               /\ link' = [link EXCEPT ![w] = NoLink]
               /\ UNCHANGED <<roster, reports>>
    /\ UNCHANGED <<postgres, redis, etcd, roster, hand, publishing, leading, refill, alive, unacked, settled, faults,
                   wrong>>

-----------------------------------------------------------------------------
(* Faults. *)

\* What it was publishing is in the lanes or not, and stays in the outbox.
DispatcherCrash(d) ==
    /\ Fault("dispatcher crash")
    /\ roster' = [roster EXCEPT ![d] = [w \in Workers |-> NoSession]]
    /\ hand' = [hand EXCEPT ![d] = NoHand]
    /\ reports' = {report \in reports : report.dispatcher # d}
    /\ publishing' = {p \in publishing : p[2] # d}
    /\ \E reached \in SUBSET {p[1] : p \in publishing \ publishing'} : fresh' = fresh \cup reached
    /\ leading' = [leading EXCEPT ![d] = NoTerm]
    /\ refill' = [refill EXCEPT ![d] = NoRefill]
    /\ link' = [w \in Workers |-> IF link[w].dispatcher = d THEN NoLink ELSE link[w]]
    \* Its row in Postgres is written no more; who starts in its place has another name.
    /\ session' = [w \in Workers |-> IF session[w].dispatcher = d THEN [session[w] EXCEPT !.dispatcher = None]
                                     ELSE session[w]]
    /\ UNCHANGED <<task, outbox, term, noted, pending, epoch, etcd, alive, running, unacked, settled, asks, wrong>>

SchedulerCrash ==
    /\ Fault("scheduler crash")
    /\ \E p \in publishing : p[2] = Api
    /\ publishing' = {p \in publishing : p[2] # Api}
    /\ \E reached \in SUBSET {p[1] : p \in publishing \ publishing'} : fresh' = fresh \cup reached
    /\ UNCHANGED <<postgres, pending, epoch, etcd, roster, hand, reports, leading, refill, worker, asks, wrong>>

\* For good; some other worker is there.
WorkerCrash(w) ==
    /\ Fault("worker crash")
    /\ alive[w] /\ \E other \in Workers \ {w} : alive[other]
    /\ alive' = [alive EXCEPT ![w] = FALSE]
    /\ link' = [link EXCEPT ![w] = NoLink]
    /\ running' = [running EXCEPT ![w] = {}]
    /\ unacked' = [unacked EXCEPT ![w] = {}]
    /\ settled' = [settled EXCEPT ![w] = {}]
    /\ UNCHANGED <<postgres, redis, etcd, memory, asks, wrong>>

\* The worker knows; the dispatcher will learn.
StreamBreak(w) ==
    /\ Fault("stream break")
    /\ link[w] # NoLink
    /\ link' = [link EXCEPT ![w] = NoLink]
    /\ UNCHANGED <<postgres, redis, etcd, memory, alive, running, unacked, settled, asks, wrong>>

RedisWipe ==
    /\ Fault("redis wipe")
    /\ fresh' = {} /\ pending' = {} /\ epoch' = 0
    /\ UNCHANGED <<postgres, etcd, memory, worker, asks, wrong>>

\* The leader's lease runs out while it is stopped: it goes on believing.
LeaseLoss(d) ==
    /\ Fault("lease loss")
    /\ \E other \in Dispatchers \ {d} : Elected(other)
    /\ Elect(d)

\* Another cluster stands in its place, empty or from an older backup: nobody holds the election, no session is registered.
EtcdReplaced ==
    /\ Fault("etcd replaced")
    /\ elected' = elected + 1
    /\ replaced' = elected + 1
    /\ UNCHANGED <<postgres, redis, memory, worker, asks, wrong>>

\* Postgres commits a claim, and the dispatcher does not hear of it. The entry stays pending.
ClaimUnheard(d) ==
    /\ Fault("claim unheard")
    /\ hand[d].phase = "taken"
    /\ RunBy(d)
    /\ hand' = [hand EXCEPT ![d] = NoHand]
    /\ UNCHANGED <<session, outbox, term, noted, redis, etcd, roster, reports, publishing, leading, refill, worker,
                   asks, wrong>>

\* A dispatcher is so slow that another takes an entry over that it is about to claim.
ReclaimEarly(d) ==
    /\ Fault("reclaim early")
    /\ \E p \in pending : p[2] # d /\ InHand(p) /\ TakeOver(d, p)

-----------------------------------------------------------------------------
(* It begins with every worker at a dispatcher, each at another if there are enough, and the submits just committed:   *)
(* the tasks are QUEUED and in the outbox, and a scheduler is about to publish them.                                   *)

Home == CHOOSE home \in [Workers -> Dispatchers] :
    Cardinality(Workers) <= Cardinality(Dispatchers) => \A v, w \in Workers : v # w => home[v] # home[w]

Init ==
    /\ task = [t \in Tasks |-> [state |-> "QUEUED", attempt |-> 0, session |-> None, cancel |-> FALSE, failures |-> 0,
                                crashes |-> 0]]
    /\ session = [w \in Workers |-> [generation |-> 1, live |-> TRUE, dispatcher |-> Home[w]]]
    /\ outbox = {<<t, 0>> : t \in Tasks}
    /\ publishing = {<<<<t, 0>>, Api>> : t \in Tasks}
    /\ term = 1 /\ noted = 1 /\ epoch = 1 /\ elected = 1 /\ replaced = 0
    /\ fresh = {} /\ pending = {}
    /\ roster = [d \in Dispatchers |-> [w \in Workers |->
                    IF Home[w] = d THEN [generation |-> 1, runs |-> {}] ELSE NoSession]]
    /\ hand = [d \in Dispatchers |-> NoHand]
    /\ reports = {}
    /\ leading = [d \in Dispatchers |->
                    IF d = CHOOSE first \in Dispatchers : TRUE THEN [election |-> 1, number |-> 1, begun |-> TRUE] ELSE NoTerm]
    /\ refill = [d \in Dispatchers |-> NoRefill]
    /\ alive = [w \in Workers |-> TRUE]
    /\ link = [w \in Workers |-> [dispatcher |-> Home[w], generation |-> 1]]
    /\ running = [w \in Workers |-> {}]
    /\ unacked = [w \in Workers |-> {}]
    /\ settled = [w \in Workers |-> {}]
    /\ faults = Faults /\ asks = Asks
    /\ wrong = {}

\* What the system does by itself, sooner or later.
System ==
    \/ PublicationPublish \/ Apply
    \/ \E d \in Dispatchers :
        \/ OutboxDuty(d) \/ LaneTake(d) \/ LaneReclaim(d) \/ Claim(d) \/ ClaimingSend(d) \/ LaneSourceDispose(d)
        \/ Elector(d) \/ RotaNumber(d) \/ LeaderFenceBegin(d) \/ TermEnd(d) \/ Promotion(d)
        \/ RebuildBegin(d) \/ RefillAdvance(d) \/ RebuildFinish(d)
    \/ \E w \in Workers : SessionFinish(w) \/ CompletionReport(w) \/ AdoptionWelcome(w)
    \/ \E w \in Workers, d \in Dispatchers :
        \/ SessionHello(w, d) \/ UpkeepResend(d, w) \/ UpkeepRenounce(d, w) \/ LossLose(d, w) \/ Reaping(d, w)
        \/ VouchingGiveUpStrays(d, w)

\* What may happen or not, and only so often.
Environment ==
    \/ TasksCancel \/ TasksRedrive \/ SchedulerCrash \/ RedisWipe \/ EtcdReplaced
    \/ \E d \in Dispatchers :
        Expiry(d) \/ DispatcherCrash(d) \/ LeaseLoss(d) \/ ClaimUnheard(d) \/ ReclaimEarly(d)
    \/ \E w \in Workers : SessionRelease(w) \/ WorkerCrash(w) \/ StreamBreak(w)

Next == System \/ Environment

Spec == Init /\ [][Next]_vars /\ WF_vars(System)

-----------------------------------------------------------------------------
(* Properties. The numbers are those of the invariants in README.md. *)

\* 4: no (task, attempt) is claimed twice.   6: no result of an older attempt is accepted.
\* 11: nothing commits under an old term.    7: a session that was adopted is not given up by whom it left, and one on a
\* live stream not by the leader.
NothingWrong == wrong = {}

\* 5: at most one outcome; only a redrive leaves a terminal state, and only FAILED.
Absorbing ==
    [][\A t \in Tasks : task[t].state \in Terminal =>
        \/ task'[t] = task[t]
        \/ task[t].state = "FAILED" /\ task'[t] = Redriven(task[t])]_vars

\* 4, 7: attempts rise, one at a time, and only when QUEUED becomes RUNNING.  12: so nothing is claimed after CANCELLED.
AttemptsRise ==
    [][\A t \in Tasks :
        \/ task'[t].attempt = task[t].attempt /\ (task'[t].state = "RUNNING" => task[t].state = "RUNNING")
        \/ /\ task'[t].attempt = task[t].attempt + 1
           /\ task[t].state = "QUEUED" /\ task'[t].state = "RUNNING"]_vars

\* 8
SlotsHold == \A w \in Workers : Cardinality(Runs(w)) <= Slots

\* 10
BudgetsHold == \A t \in Tasks : task[t].failures <= MaxFailures + 1 /\ task[t].crashes <= MaxCrashes + 1

\* 11
TermsRise == [][term' >= term]_vars

\* Once nothing breaks any more: 1, every task ends, and 16, nothing is left behind.
AtRest ==
    /\ \A t \in Tasks : task[t].state \in Terminal
    /\ outbox = {} /\ publishing = {} /\ reports = {}
    /\ fresh = {} /\ pending = {}
    /\ \A w \in Workers : alive[w] => running[w] = {} /\ unacked[w] = {}

NeverStuck == <>[]AtRest

=============================================================================
