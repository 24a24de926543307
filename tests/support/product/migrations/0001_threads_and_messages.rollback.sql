-- Undo: threads and their messages

DROP TABLE "Message";
DROP TABLE "Thread";
