package chatlog

// Reasons for leaving something out, as reports count them. Records, blocks,
// calls, replies and conversations are counted under different reasons, so
// that no number mixes two things.
const (
	reasonMalformed = "malformed line"
	reasonTorn      = "torn last line"
	reasonTooLong   = "over-long line"

	reasonCopy        = "record repeated in its file"
	reasonAbandoned   = "record on an abandoned branch"
	reasonSidechain   = "sidechain record"
	reasonCycle       = "circular link cut"
	reasonUnreadable  = "record with unreadable content"
	reasonFailure     = "error or stub in the model's place"
	reasonInjected    = "injected text"
	reasonInterrupted = "interruption mark"
	reasonPasted      = "prompt with elided paste"
	reasonImage       = "image left out of a prompt"

	reasonNoPrompt     = "reply without a prompt"
	reasonNoResult     = "call without result"
	reasonNoCall       = "result without call"
	reasonBadArguments = "call with unreadable arguments"
	reasonTrailing     = "prompt without a reply"
	reasonShortened    = "tool result shortened"

	reasonResumeCopy = "conversation copied by a resume"
	reasonNoReply    = "conversation without a trained reply"
	reasonWarmup     = "warm-up conversation"

	heldInterrupted = "interrupted reply kept as context"
	heldRejected    = "reply with a refused call kept as context"
	heldTruncated   = "truncated or refused reply kept as context"
	heldIncomplete  = "reply with a missing result kept as context"
	heldCopied      = "reply trained in another conversation"
)
