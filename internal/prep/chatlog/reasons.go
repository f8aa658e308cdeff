package chatlog

// Reasons for leaving something out, as reports count them. Records, blocks,
// calls, replies and conversations are counted under different reasons, so
// that no number mixes two things.
const (
	reasonMalformed = "malformed line"
	reasonTorn      = "torn last line"
	reasonTooLong   = "over-long line"
	reasonDamaged   = "damaged file"
	reasonLink      = "link to a folder, not followed"
	reasonLocked    = "file or folder that may not be read"
	reasonTwin      = "file that was found before"

	reasonCopy        = "record repeated in its file"
	reasonAbandoned   = "record on an abandoned branch"
	reasonSidechain   = "sidechain record"
	reasonCycle       = "circular link cut"
	reasonUnreadable  = "record with unreadable content"
	reasonFailure     = "error or stub in the model's place"
	reasonInjected    = "injected text"
	reasonInterrupted = "interruption mark"
	reasonPasted      = "prompt with elided paste"
	reasonImage       = "image or file left out of a prompt"

	reasonNoPrompt     = "reply without a prompt"
	reasonNoResult     = "call without result"
	reasonNoCall       = "result without call"
	reasonBadArguments = "call with unreadable arguments"
	reasonTrailing     = "prompt without a reply"
	reasonShortened    = "tool result shortened"
	reasonThinking     = "thinking left out"
	reasonOtherBlock   = "block of a kind that is not used"
	reasonServerTool   = "tool without a schema"

	reasonStoredMissing = "stored tool result that is not there"
	reasonStoredOutside = "stored tool result outside its session's folder"

	reasonManyRequests  = "results whose custom_ids fit several files of requests"
	reasonNoBatchResult = "batch request without its result"
	reasonBatchFailed   = "batch request that failed, expired or was canceled"

	reasonNoRequest          = "response without its request"
	reasonErrorResponse      = "response that is an error"
	reasonCutStream          = "response stream without its end"
	reasonUnreadableResponse = "response that is not understood"

	reasonSecret    = "conversation with a secret"
	reasonTooLarge  = "turn larger than the window"
	reasonStepsCut  = "message beyond the window"
	reasonOverhead  = "conversation whose system prompt and tools fill the window"
	reasonCallText  = "text beside a call"
	reasonHasCalls  = "conversation with tool calls"
	reasonHeldPlain = "conversation with a reply that must not be trained"

	reasonResumeCopy = "conversation copied by a resume"
	reasonNoReply    = "conversation without a trained reply"
	reasonWarmup     = "warm-up conversation"

	heldInterrupted = "interrupted reply kept as context"
	heldRejected    = "reply with a refused call kept as context"
	heldTruncated   = "truncated or refused reply kept as context"
	heldIncomplete  = "reply with a missing result kept as context"
	heldCopied      = "reply trained in another conversation"
)
