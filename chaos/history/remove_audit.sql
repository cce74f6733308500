DROP TRIGGER IF EXISTS audit_insert ON taskyard.task;
DROP TRIGGER IF EXISTS audit_update ON taskyard.task;
DROP TRIGGER IF EXISTS audit_delete ON taskyard.task;
DROP TRIGGER IF EXISTS audit ON taskyard.session;
DROP TRIGGER IF EXISTS audit_insert ON taskyard.dispatcher;
DROP TRIGGER IF EXISTS audit_update ON taskyard.dispatcher;
DROP TRIGGER IF EXISTS audit ON taskyard.leader;
DROP SCHEMA IF EXISTS taskyard_audit CASCADE;
